"""The program under test, started by a command of the caller's choice, and a page for it to scrape."""

import http.server
import json
import signal
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request

# LIMIT: emulated on a busy machine a start takes half a minute.
PATIENCE_SECONDS = 300


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def eventually(what, holds):
    """Polls until `holds` answers something, and gives that. Errors of a connection count as nothing yet."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            if found := holds():
                return found
        except OSError as error:
            last = error
        else:
            last = "not so"
        assert time.monotonic() < deadline, f"{what}: {last}"
        time.sleep(0.1)


class Page(http.server.BaseHTTPRequestHandler):
    """Text as exporters show it, `lines` of it."""

    protocol_version = "HTTP/1.1"
    lines = ["one 1"]

    def do_GET(self):
        body = "\n".join([*self.lines, ""]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def serve(page):
    """Serves `page`, a kind of Page, as long as this process lives; its address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), page)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"127.0.0.1:{server.server_port}"


class Ferula:
    """A running program. `command` is the program and what is to stand before it, `work` has ferula.yml and data/."""

    def __init__(self, command, work, *flags):
        self.address = f"127.0.0.1:{free_port()}"
        arguments = [f"--config.file={work}/ferula.yml", f"--storage.tsdb.path={work}/data"]
        arguments += [f"--web.listen-address={self.address}", *flags]
        self.log_file = work / "log"
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(command + arguments, stderr=log)
        try:
            eventually("ready", self.is_ready)
        except BaseException:
            self.kill()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            print(self.log_file.read_text(errors="replace"))
        if self.process.poll() is None:
            self.kill()

    def is_ready(self):
        return self.ask("/-/ready")

    def ask(self, path, post=None, **form):
        assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.log_file.read_text()}"
        url = f"http://{self.address}{path}?{urllib.parse.urlencode(form)}"
        with urllib.request.urlopen(url, data=post, timeout=60) as answer:
            return answer.read().decode()

    def values(self, query, **form):
        """The values of an instant query."""
        data = json.loads(self.ask("/api/v1/query", query=query, **form))["data"]
        if data["resultType"] == "scalar":
            return [float(data["result"][1])]
        return [float(series["value"][1]) for series in data["result"]]

    def expect(self, query, holds):
        """Polls until one value of an instant query is such that `holds`; gives that."""
        return eventually(query, lambda: [value for value in self.values(query) if holds(value)])[0]

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE_SECONDS)
        assert code == 0, f"stopped with {code}: {self.log_file.read_text()}"

    def kill(self):
        self.process.kill()
        self.process.wait()
