"""What a user of aws, coscli or gsutil types first: each message names what to type instead."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from cossign.cli import main
from tests.conftest import BUCKET, REGION

WHERE = f"-b {BUCKET} -r {REGION}"

pytestmark = [pytest.mark.usefixtures("environment"), pytest.mark.any_engine]


@pytest.mark.parametrize(
    "typed, said",
    [
        ("", "COMMAND is missing; cossign --help"),
        ("help", "cossign --help lists the commands"),
        ("version", "cossign --version"),
        (f"signurl cos://{BUCKET}/a.jpg -t 100", "cossign url KEY signs one"),  # coscli
        ("signurl -d 10m key.json gs://bucket/a.jpg", "cossign url KEY signs one"),  # gsutil
        ("cp a.jpg cos://bucket/a.jpg", "use coscli or coscmd"),
        ("ls cos://bucket", "use coscli or coscmd"),
        ("configure", "set COS_SECRET_ID and COS_SECRET_KEY"),
        ("presigns keys.txt", "did you mean presign?"),
        (f"cos://{BUCKET}/a.jpg", f"cossign url cos://{BUCKET}/a.jpg"),
        ("https://h/a.jpg?q-sign-algorithm=sha1", "cossign verify URL"),
        (f"presign s3://{BUCKET}/a.jpg --expires-in 3600", "use --expires, such as --expires 1h"),  # aws
        (f"presign s3://{BUCKET}/a.jpg {WHERE}", f"cossign url cos://{BUCKET}/a.jpg"),
        (f"presign photos/a.jpg {WHERE}", "cossign url photos/a.jpg"),
        (f"presign 'photos/a b.jpg' {WHERE}", "cossign url 'photos/a b.jpg'"),
        ("presign", "FILE is missing"),
        ("url", "KEY is missing"),
        (f"url s3://bucket/a.jpg -r {REGION}", "write cos://BUCKET/KEY, with the APPID"),
        (f"url https://h/a.jpg {WHERE}", "give the key alone"),
        (f"url a.jpg -r {REGION}", "-b is missing: give <BucketName>-<APPID>, such as -b"),
        (f"url a.jpg -b {BUCKET}", "-r is missing: give the region"),
        (f"url a.jpg -b examplebucket -r {REGION}", "-b examplebucket must be <BucketName>-<APPID>"),
        (f"url a.jpg -b cos://{BUCKET} -r {REGION}", f"write -b {BUCKET}"),
        (f"url a.jpg -b {BUCKET} -r cos.{REGION}", "-r must not contain \"cos.\""),
        (f"url a.jpg -b {BUCKET} -r {REGION}.myqcloud.com", "-r must have lower-case letters"),
        (f"url a.jpg {WHERE} --expires 1y", "--expires '1y' is not a duration: write 900, 15m, 2h or 7d"),
        (f"url a.jpg {WHERE} --expires 0", "--expires '0' is not a duration"),
        (f"url a.jpg {WHERE} --duration 10m", "use --expires"),
        (f"url a.jpg {WHERE} -m PUT", "use -X"),
        (f"url a.jpg {WHERE} -X 'P UT'", "-X must be an HTTP method"),
        (f"url -k a.jpg {WHERE}", "cossign url KEY"),
        (f"url --key=a.jpg {WHERE}", "cossign url KEY"),
        (f"url a.jpg {WHERE} --secret-id AKID --secret-key k", "set COS_SECRET_ID and COS_SECRET_KEY"),
        (f"url a.jpg {WHERE} --endpoint-url https://cos.ap-beijing.myqcloud.com", "use -r for the region, or --domain"),
        (f"url a.jpg {WHERE} -H Content-Type=image/png", "write 'Content-Type: image/png'"),
        (f"url a.jpg {WHERE} --content-type image/png", "-H 'Content-Type: image/png'"),
        (f"url a.jpg {WHERE} --query acl", "write acl="),
        (f"url a.jpg {WHERE} --acelerate", "did you mean --accelerate?"),
        (f"authorization a.jpg {WHERE}", "KEY is missing"),
        (f"authorization a.jpg GET {WHERE}", "METHOD must be an HTTP method"),
        ("verify urls.txt", "urls.txt is neither a URL that begins with https:// nor a file"),
        ("completion tcsh", "choose from"),
        ("completion bash zsh", "zsh is one argument too many; cossign completion --help"),
        ("URL a.jpg", "did you mean url?"),
        (f"obs://{BUCKET}/a.jpg", f"if it means COS, cossign url cos://{BUCKET}/a.jpg signs it"),
        (f"'cos://{BUCKET}/a b'", f"cossign url 'cos://{BUCKET}/a b' signs it"),
        (f"presign 'cos://{BUCKET}/a b' {WHERE}", f"To sign this object, use cossign url 'cos://{BUCKET}/a b'"),
        (f"presign https://h/a {WHERE}", "cossign verify URL checks it"),
        (f"url COS://{BUCKET}/a {WHERE}", f"cossign url cos://{BUCKET}/a"),
        (f"url cos:/{BUCKET}/a {WHERE}", "write cos://BUCKET/KEY"),
        (f"url ftp://a/b {WHERE}", "if it is a key, cos://BUCKET/ftp://a/b"),
        (f"url a.jpg -b '' -r {REGION}", "-b must not be empty"),
        (f"url a.jpg {WHERE} --profile ''", "--profile must not be empty"),
        (f"url a.jpg {WHERE} --domain=", "--domain must not be empty"),
        (f"url a.jpg {WHERE} --query a=1 --query a=2", "--query a is given twice"),
        (f"url a.jpg {WHERE} -H Range:1 -H range:2", "-H range is given twice"),
        (f"url a.jpg {WHERE} -H ' a b : 1'", "a name that no header can have"),
        (f"url a.jpg {WHERE} --start 1e9", "'1e9' must be Unix seconds"),
        (f"url a.jpg {WHERE} --exp 1h", "did you mean --expires?"),
        (f"url a.jpg {WHERE} --secret_key k", "set COS_SECRET_ID and COS_SECRET_KEY"),
        (f"authorization P-T! a {WHERE}", "METHOD must be an HTTP method"),
        (f"presign keys.txt {WHERE} --output-file urls.txt", "use -o"),
        (f"presign keys.txt {WHERE} -o urls.xls", "or give --to"),
        (f"presign keys.txt {WHERE} --resume", "needs an output directory: give one, and --rows-per-part"),
        (f"presign bad.txt {WHERE}", "use --no-strict"),
        (f"presign keys.txt {WHERE} -o begun --rows-per-part 5", "use --resume to continue the job in it"),
        (f"presign k.csv {WHERE}", "name one with --key-column"),
        (f"presign keys.xyz {WHERE}", "give it with --from"),
        (f"presign keys.txt {WHERE} -o no/such/urls.txt", "no/such/urls.txt: No such file or directory"),
        (f"presign keys.txt {WHERE} --start -5", "must be Unix seconds, such as"),
        (f"presign keys.txt {WHERE} --rows-per-part 0 -o out/", "--rows-per-part must be greater than 0"),
        (f"presign keys.txt {WHERE} --errors keys.txt", "--errors keys.txt is one of the inputs"),
        (f"presign keys.txt {WHERE} -o keys.txt", "-o keys.txt is one of the inputs"),
    ],
)  # fmt: skip
def test_each_ends_in_what_to_type(
    typed: str, said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("keys.txt", "keys.xyz"):
        Path(name).write_text("a.jpg\n")
    Path("bad.txt").write_text("/\n")
    Path("k.csv").write_text("path,size\na,1\n")
    Path("begun").mkdir()
    for name in (".journal.jsonl", "part-00000.txt"):
        Path("begun", name).write_text("")
    try:
        status = main(shlex.split(typed))
    except SystemExit as ended:
        status = int(str(ended.code))
    shown = capsys.readouterr()
    assert status in (1, 2)
    assert said in shown.err
    assert shown.out == ""
    lines = shown.err.splitlines()
    assert lines[-1].startswith("cossign")
    assert len(lines) == (2 if lines[0].startswith("usage: ") else 1)
    assert not {word for word in ("missing param", "param ", "rows_per_part", "strict=") if word in shown.err}


@pytest.mark.parametrize(
    "typed", ["--secret-key SUPERSECRET url a", "url a -kSUPERSECRET", "url a --token=SUPERSECRET"]
)
def test_a_secret_is_not_shown(typed: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(shlex.split(typed))
    assert "SUPERSECRET" not in capsys.readouterr().err
