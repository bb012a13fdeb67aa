"""Probot, installed from npm into a folder: it checks the signature, hands the event to a handler, stores nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.bench.deliveries import SECRET

VERSION = "14"
SERVER = """
import { createServer } from "node:http";
import { createNodeMiddleware, createProbot, Probot } from "probot";
import { generateKeyPairSync } from "node:crypto";

const { privateKey } = generateKeyPairSync("rsa", {
  modulusLength: 2048,
  publicKeyEncoding: { type: "spki", format: "pem" },
  privateKeyEncoding: { type: "pkcs1", format: "pem" },
});
const probot = createProbot({
  overrides: { appId: 1, privateKey, secret: process.env.SECRET, logLevel: "warn" },
});
let seen = 0;
const app = (robot) => { robot.on("issue_comment.created", () => { seen += 1; }); };
const middleware = await createNodeMiddleware(app, { probot, webhooksPath: "/webhooks/github" });
createServer((request, response) => {
  middleware(request, response, () => { response.statusCode = 404; response.end(); });
}).listen(Number(process.env.PORT), "127.0.0.1");
"""


def install(folder: Path) -> str | None:
    """None when it is there; else why it is not."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return "no npm here"
    (folder / "package.json").write_text('{"name": "bench", "private": true, "type": "module"}')
    (folder / "server.js").write_text(SERVER)
    done = subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", "--silent", f"probot@{VERSION}"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return None if done.returncode == 0 else f"npm could not install it: {done.stderr.strip()[-300:]}"


def start(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """As in production: one log line for what goes wrong, none for what goes well."""
    node = shutil.which("node") or "node"
    environment = {**os.environ, "PORT": str(port), "SECRET": SECRET, "NODE_ENV": "production"}
    return subprocess.Popen([node, "server.js"], cwd=folder, env=environment, stdout=subprocess.DEVNULL)
