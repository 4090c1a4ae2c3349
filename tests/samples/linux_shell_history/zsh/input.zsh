: 1767348000:0;ls -la
: 1767348005:12;curl -fsSL http://files.example.org/i.sh | \
sh
: 1767348020:0;echo grÃƒ¿Ãƒ¿e
