- cmd: git clone https://git.example.com/tools
  when: 1767348000
  paths:
    - tools
- cmd: printf "a\\nb"\nls
  when: 1767348009
