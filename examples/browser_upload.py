"""A page whose form uploads a photo from the browser straight to the bucket. Your server only signs.

    export COS_SECRET_ID=AKID... COS_SECRET_KEY=...
    export COS_BUCKET=examplebucket-1250000000 COS_REGION=ap-beijing
    python examples/browser_upload.py 8000        # then open http://127.0.0.1:8000

Each page carries a policy of its own. It allows one key, an image, and at most 5 MB, for ten minutes. In your
application, give the page only to users who are logged in, and put the user's name into the key.
"""

import html
import os
import sys
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cossign import ChainCredentials, Signer

PAGE = """<!DOCTYPE html>
<meta charset="utf-8"><title>Upload</title>
<form action="{url}" method="post" enctype="multipart/form-data">
{fields}
<input type="hidden" name="Content-Type" value="image/jpeg">
<input type="file" name="file" accept="image/jpeg" required>
<button>Upload</button>
</form>
"""

signer = Signer(
    ChainCredentials(),
    bucket=os.environ["COS_BUCKET"],
    region=os.environ["COS_REGION"],
    domain=os.environ.get("COS_DOMAIN"),  # your own domain, if the bucket has one
)


def upload_page(user: str) -> str:
    """The page for a user: the form's fields first, the file last, as COS wants it."""
    form = signer.post_policy(
        f"photos/{user}/{uuid.uuid4().hex}.jpg",
        size=(1, 5_000_000),  # bytes
        fields={"success_action_status": "200"},
        starts_with={"Content-Type": "image/"},
        expires="10m",
    )
    fields = "\n".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
        for name, value in form.fields.items()
    )
    return PAGE.format(url=html.escape(form.url), fields=fields)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        page = upload_page("user-17").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.send_header("Cache-Control", "no-store")  # the policy ends
        self.end_headers()
        self.wfile.write(page)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
