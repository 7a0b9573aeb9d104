#!/usr/bin/env python3
"""Runs all peers in turn, round after round, and prints one table of medians and ratios of this run.

  scripts/bench [--rounds 5] [--quick] [--out .leat/bench/last.json]

LEAT_BENCH_KIT   the folder of the peer benchmark kit (peers/, gen.py): Python, Node, Polars and DuckDB join
LEAT_BENCH_WORK  where its README had it set up (data/, venv/, node/, target/); default .leat/bench/kit

Without them the events are made by `bench-events`, and Leat, the hand-written program and the floor are measured.
CPU time is the figure: all threads of the process, without its start and without reading the file. Each round runs each
peer once, so that what else this machine does falls on all alike. Instructions are counted by callgrind, where valgrind is.
"""
import argparse, contextlib, json, os, pathlib, re, resource, shutil, socket, statistics, subprocess, sys, threading, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / ".leat/bench"
RELEASE = ROOT / "target/release"
RECIPE = ROOT / "recipes/bench-transactions/recipe.yaml"
# What `check` sums, by the recipe's names of features.
SUMS = ("amount_std=amount_scaled,target=category_fraud,bin=amount_bin,sin=event_hour_sin,c24=count_24h,"
        "s24=amount_sum_24h,m1=amount_max_1h,since=session_since_previous,sess=session_number,text=words")
# Decimals that peers agree on.
AGREED = {"malformed": 0, "valid": 0, "amount_std": 3, "target": 3, "bin": 0, "sin": 3, "c24": 0, "s24": 2, "m1": 2, "since": 3, "sess": 0}
STREAM = (1000, 100, 10000)


def leat():
    """The command line, as it is released; else as tests have it, which is slower."""
    return next((path for path in (RELEASE / "leat", ROOT / "target/fast/leat") if path.exists()), RELEASE / "leat")


def say(text):
    print(text, file=sys.stderr, flush=True)


def data(kit, kit_work):
    """The folder of events, and the command that is missing if it is not the kit's."""
    if kit and (kit_work / "data/kinesis_1000.jsonl").exists():
        return kit_work / "data"
    folder = WORK / "data"
    if not (folder / "params.json").exists():
        say("making events ...")
        subprocess.run([RELEASE / "bench-events", folder], check=True)
    return folder


def state(folder):
    """The fitted state of the benchmark's recipe, from the parameters that all peers are given."""
    given, path = WORK / "given.json", WORK / "state.json"
    out = subprocess.run([sys.executable, RECIPE.parent / "given.py", folder / "params.json"], check=True, capture_output=True, text=True)
    given.write_text(out.stdout)
    subprocess.run([leat(), "seal", RECIPE, "--given", given, "--state", path], check=True, capture_output=True)
    return path


def peers(args, folder, fitted, kit, kit_work):
    """(group, name, command) of what there is; a command that is a text is how to install what there is not."""
    engine = [RELEASE / "bench-leat", "--recipe", RECIPE, "--state", fitted, "--sums", SUMS]
    plain = [RELEASE / "bench-plain", "--params", folder / "params.json"]
    python, node = kit_work / "venv/bin/python", kit_work / "node/node_powertools.mjs"
    here = {
        "python": kit and python.exists() or "set up the kit: python3 -m venv venv && venv/bin/pip install "
        "numpy pandas scikit-learn polars duckdb pyarrow orjson aws-lambda-powertools boto3 awslambdaric",
        "node": kit and shutil.which("node") and node.exists() or "apt-get install nodejs npm; set up the kit: (cd node && npm install)",
        "plain": kit and (kit_work / "target/release/plain").exists() or "set up the kit: (cd floor && cargo build --release)",
    }
    out = []
    for batch in STREAM:
        events = folder / f"kinesis_{batch}.jsonl"
        few = ["--limit", {100: "300", 1000: "30", 10000: "6"}[batch]]
        out += [(batch, "leat", engine + [events, "--repeat", "3"]), (batch, "plain (Rust by hand)", plain + [events, "--repeat", "3"])]
        if batch == 1000:
            out += [(batch, "leat, one call", engine + [events, "--variant", "intake", "--repeat", "3"]),
                    (batch, "leat, items", engine + [events, "--variant", "items", "--repeat", "3"])]
            out += [(batch, f"floor {part}", [RELEASE / "bench-floor", events, "--variant", part]) for part in ("runtime", "decode", "print", "usual")]
        if kit:
            out += [(batch, "kit plain sonic", [kit_work / "target/release/plain", events, "--variant", "sonic"] if here["plain"] is True else here["plain"]),
                    (batch, "kit plain serde", [kit_work / "target/release/plain", events, "--variant", "serde"] if here["plain"] is True else here["plain"])]
        if args.quick:
            continue
        for name, script, more in [("python + Powertools", "py_powertools.py", few), ("pandas + scikit-learn", "py_pandas.py", few),
                                   ("Polars", "py_polars.py", few), ("Polars, state in Python", "py_polars.py", few + ["--variant", "pystate"])]:
            out.append((batch, name, [python, "-W", "ignore", kit / "peers" / script, events] + more if here["python"] is True else here["python"]))
        out.append((batch, "Node + Powertools", ["node", node, events] + few if here["node"] is True else here["node"]))
    return out


def batch_peers(args, folder, fitted, kit, kit_work):
    """The same for whole files: (name, command, cores)."""
    out = []
    for kind in ("ndjson", "parquet"):
        events = folder / f"events.{kind}"
        if not events.exists():
            continue
        for cores in (1, 2):
            result = WORK / f"features-{cores}.csv"
            out.append((f"leat transform, {kind}", [leat(), "transform", RECIPE, "--state", fitted, events, "--output", result], cores))
            if kit and not args.quick and (kit_work / "venv/bin/python").exists():
                python = [kit_work / "venv/bin/python", "-W", "ignore"]
                params = ["--params", folder / "params.json"]
                out.append((f"Polars, {kind}", python + [kit / "peers/py_polars.py", events] + params, cores))
                threads = ["--variant", "t2"] if cores == 2 else []
                out.append((f"DuckDB, {kind}", python + [kit / "peers/py_duckdb.py", events] + threads + params, cores))
    return out


def pinned(cores, command):
    here = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if not shutil.which("taskset") or len(here) < cores:
        return [str(word) for word in command]
    return ["taskset", "-c", ",".join(map(str, here[-cores:]))] + [str(word) for word in command]


def once(command, cores=1):
    """The line that the program printed; what it used as a whole, where it prints none."""
    environment = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", POLARS_MAX_THREADS=str(cores), PYTHONUNBUFFERED="1")
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(pinned(cores, command), capture_output=True, text=True, env=environment)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no words"])[-1]
        say(f"{command[0]}: {last}")
        return None
    line = next((line[line.index('{"') :] for line in reversed(done.stdout.splitlines()) if '"total_cpu"' in line), None)
    if line:
        return json.loads(line)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"total_cpu": cpu, "total": wall, "rss_mb": 0, "stages_cpu": {}, "events": 0, "check": {}}


def instructions(command, events, folder):
    """Instructions per event: what twenty payloads more cost."""
    if not shutil.which("valgrind"):
        return None
    counted = []
    for count in (2, 8):
        short = WORK / f"short-{count}.jsonl"
        with open(events) as file:
            short.write_text("".join(line for line, _ in zip(file, range(count))))
        words = [str(short) if str(word) == str(events) else str(word) for word in command]
        words = [word if word != "3" or words[at - 1] != "--repeat" else "1" for at, word in enumerate(words)]
        words += [] if "--repeat" in words else ["--repeat", "1"]
        done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"] + words, capture_output=True, text=True)
        found = re.search(r"Collected : (\d+)", done.stderr)
        line = re.search(r'"events": ?(\d+)', done.stdout)
        if not found or not line:
            return None
        # A program that ignores `--repeat 1` would count several times.
        counted.append((int(found[1]), int(line[1])))
    (a, n), (b, m) = counted
    return (b - a) / (m - n)


def median(runs, pick):
    return statistics.median(pick(run) for run in runs)


def micros(runs):
    return median(runs, lambda run: run["total_cpu"] / run["events"] * 1e6)


def stage(runs, name):
    return median(runs, lambda run: run["stages_cpu"].get(name, 0) / run["events"] * 1e6)


def agrees(line, known):
    """Whether a peer did the work that Leat did on the same events; the words of what differs. Events that decode refuses
    fail one rule in Leat, and all that they would fail in others: how many those are more, rule by rule, is counted by the
    hand-written program, so that the counts must be the same to the last event."""
    if not known:
        return ""
    leat, plain = known
    differ = [name for name, decimals in AGREED.items()
              if abs(float(line["check"].get(name, "nan")) - float(leat["check"].get(name, "nan"))) > 1.5 * 10.0**-decimals * (decimals > 0)]
    more = plain["check"]["beyond"] if line["peer"] != "leat" else [0] * 12
    wanted = [count + beyond for count, beyond in zip(leat["check"]["fail"], more, strict=True)]
    found = line["check"].get("fail", [])
    if found != wanted:
        differ += [f"rule {at + 1}" for at, (a, b) in enumerate(zip(found, wanted)) if a != b] or ["rules"]
    if not differ:
        return "yes" if not any(more) else "yes (*)"
    return "differs: " + ", ".join(differ)


def references(streams, all_peers, folder):
    """Leat's line and the hand-written program's for every number of events that a peer took: slow peers take the first
    payloads only."""
    found = {}
    for batch in STREAM:
        names = ("leat", "plain (Rust by hand)")
        own = [streams.get((batch, name)) for name in names]
        commands = [command for name in names for b, other, command in all_peers if (b, other) == (batch, name)]
        if not all(own) or len(commands) < 2:
            continue
        found[batch, own[0][0]["events"]] = tuple(runs[0] for runs in own)
        for (other, name), runs in streams.items():
            events = runs[0]["events"]
            if other != batch or name.startswith("floor") or (batch, events) in found:
                continue
            short, count = WORK / "short.jsonl", 0
            with open(folder / f"kinesis_{batch}.jsonl") as file, open(short, "w") as out:
                for line in file:
                    if count >= events:
                        break
                    count += line.count('"sequenceNumber"')
                    out.write(line)
            lines = [once([short if str(word).endswith(f"kinesis_{batch}.jsonl") else word for word in words] + ["--repeat", "1"])
                     for words in commands]
            if all(lines):
                found[batch, lines[0]["events"]] = tuple(lines)
    return found


def stub(body, marks, done):
    """A Runtime API that gives one invocation: a thread and its port."""
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(8)

    def talk(connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        file = connection.makefile("rb")
        given = False
        while True:
            first = file.readline()
            if not first:
                return
            length, chunked = 0, False
            while (header := file.readline().strip().lower()):
                name, _, value = header.partition(b":")
                length = int(value) if name == b"content-length" else length
                chunked |= name == b"transfer-encoding" and b"chunked" in value
            if chunked:
                while (size := int(file.readline(), 16)):
                    file.read(size + 2)
                file.readline()
            else:
                file.read(length)
            if b"/invocation/next" in first:
                if given or "answer" in marks:
                    return time.sleep(5)
                given = True
                marks["ready"] = time.perf_counter()
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\n"
                                   b"Lambda-Runtime-Deadline-Ms: 4102444800000\r\nLambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:ap-east-1:123456789012:function:f\r\n"
                                   b"Content-Length: %d\r\n\r\n" % len(body) + body)
            else:
                marks["answer" if b"/response" in first else "error"] = time.perf_counter()
                connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
                done.set()

    def answer(connection):
        # The process is ended as soon as it has answered, whatever it was to say next.
        with contextlib.suppress(OSError, ValueError):
            talk(connection)

    def accept():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return server


def cold(function, environment, times=15):
    """Milliseconds from process start to the first answer, medians; none if it is not built."""
    program = next((path for path in (ROOT / "dist" / function / "bootstrap", RELEASE / function, ROOT / "target/fast" / function) if path.exists()), None)
    if program is None:
        return None
    body = (ROOT / f"events/{function}.json").read_bytes()
    took = []
    for _ in range(times):
        marks, done = {}, threading.Event()
        server = stub(body, marks, done)
        start = time.perf_counter()
        process = subprocess.Popen([program], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env=dict(environment, AWS_LAMBDA_RUNTIME_API=f"127.0.0.1:{server.getsockname()[1]}"))
        done.wait(10)
        if "answer" in marks:
            took.append((marks["answer"] - start) * 1e3)
        process.kill()
        process.wait()
        server.close()
    return (statistics.median(took), program.relative_to(ROOT)) if took else None


def functions():
    """What a start needs: stores that are files or memory, as `scripts/invoke-each` has them."""
    work = WORK / "functions"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    (work / "secret").write_text("a secret for this machine alone, at least 32 bytes")
    recipe = ROOT / "recipes/card-transactions/recipe.yaml"
    return dict(PATH=os.environ["PATH"], AWS_LAMBDA_FUNCTION_MEMORY_SIZE="1769", AWS_LAMBDA_FUNCTION_VERSION="1", AWS_LAMBDA_FUNCTION_NAME="f",
                AWS_REGION="ap-east-1", AWS_ACCESS_KEY_ID="none", AWS_SECRET_ACCESS_KEY="none", RUST_LOG="error",
                LEAT_RECIPE=f"file:{recipe}", LEAT_KEYS=f"file:{work}/secret", LEAT_STATE="memory:", LEAT_SINKS=f"file:{work}/rows.jsonl",
                LEAT_QUARANTINE=f"file:{work}/aside", LEAT_LANDING=f"file:{work}/large", LEAT_STREAM="memory:")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="Rust alone")
    parser.add_argument("--out", default=str(WORK / "last.json"))
    args = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    kit = os.environ.get("LEAT_BENCH_KIT")
    kit = pathlib.Path(kit) if kit else None
    kit_work = pathlib.Path(os.environ.get("LEAT_BENCH_WORK", WORK / "kit"))
    folder = data(kit, kit_work)
    fitted = state(folder)
    all_peers = peers(args, folder, fitted, kit, kit_work)
    files = batch_peers(args, folder, fitted, kit, kit_work)
    streams, wholes, missing = {}, {}, {}
    for number in range(args.rounds):
        say(f"round {number + 1} of {args.rounds} ...")
        for batch, name, command in all_peers:
            if isinstance(command, str):
                missing[name] = command
            elif (line := once(command)) is not None:
                streams.setdefault((batch, name), []).append(line)
        for name, command, cores in files:
            if (line := once(command, cores)) is not None:
                line["events"] = line["events"] or sum(1 for _ in open(folder / "events.ndjson", "rb"))
                wholes.setdefault((name, cores), []).append(line)
    events = folder / "kinesis_1000.jsonl"
    counted = {name: instructions(command, events, folder) for batch, name, command in all_peers
               if batch == 1000 and not isinstance(command, str) and name in ("leat", "leat, items", "plain (Rust by hand)", "floor decode", "floor runtime", "floor print")}
    environment = functions()
    starts = {name: cold(name, environment) for name in ("kinesis-features", "firehose-transform")}
    sizes = {path.stem: path.stat().st_size for path in sorted((ROOT / "dist").glob("*.zip"))}
    raw = {"streams": [[*key, runs] for key, runs in streams.items()], "files": [[*key, runs] for key, runs in wholes.items()],
           "instructions": counted, "starts": {name: found and found[0] for name, found in starts.items()}, "zips": sizes}
    pathlib.Path(args.out).write_text(json.dumps(raw))
    table(streams, wholes, counted, starts, sizes, missing, references(streams, all_peers, folder))


def table(streams, wholes, counted, starts, sizes, missing, known):
    print("| streaming, one core | batch | µs CPU/event (least–most) | S1 | S2 | S3 | S4 | S5 | instructions/event | RSS MB | of Leat | same check |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for (batch, name), runs in sorted(streams.items(), key=lambda item: STREAM.index(item[0][0])):
        leat, parts = streams.get((batch, "leat")), [stage(runs, f"S{n}") for n in range(1, 6)]
        each = [run["total_cpu"] / run["events"] * 1e6 for run in runs]
        ratio = f"{micros(runs) / micros(leat):.2f}×" if leat else ""
        count = counted.get(name) if batch == 1000 else None
        same = agrees(runs[0], known.get((batch, runs[0]["events"]))) if not name.startswith("floor") else ""
        print(f"| {name} | {batch} | {micros(runs):.2f} ({min(each):.2f}–{max(each):.2f}) | " + " | ".join(f"{x:.2f}" if x else "" for x in parts)
              + f" | {f'{count:,.0f}' if count else ''} | {median(runs, lambda run: run['rss_mb']):.0f} | {ratio} | {same} |")
    if any((1000, name) in streams for name in ("plain (Rust by hand)", "kit plain sonic")):
        print("\n(*) Rule by rule, to the last event: what decode refuses fails one rule in Leat; all others that it would fail are counted and added.")
    floor = [streams.get((1000, f"floor {part}")) for part in ("runtime", "decode", "print")]
    plain, leat = streams.get((1000, "plain (Rust by hand)")), streams.get((1000, "leat"))
    if all(floor) and plain:
        middle = sum(min(stage([run], name) for run in plain) for name in ("S2", "S3", "S4"))
        total = sum(micros(runs) for runs in floor) + middle
        print(f"\nComposite floor, inside the runtime: {total:.2f} µs: the runtime's parse {micros(floor[0]):.2f}, decode {micros(floor[1]):.2f}, "
              f"the hand-written S2 to S4 {middle:.2f}, printing {micros(floor[2]):.2f}." + (f" Leat is {micros(leat) / total:.2f}× that." if leat else ""))
    if (usual := streams.get((1000, "floor usual"))) and leat:
        took, usually = stage(leat, "S1"), stage(usual, "S1")
        print(f"\nDecode, with the runtime's parse: {took:.2f} µs; with `KinesisEvent` and serde_json {usually:.2f}: {usually / took:.1f} times.")
    if wholes:
        print("\n| whole files | cores | µs CPU/event | µs wall/event | of Leat's CPU |")
        print("|---|---|---|---|---|")
        for (name, cores), runs in wholes.items():
            leat = wholes.get((f"leat transform, {name.split(', ')[1]}", cores))
            wall = median(runs, lambda run: run["total"] / run["events"] * 1e6)
            print(f"| {name} | {cores} | {micros(runs):.2f} | {wall:.2f} | {f'{micros(runs) / micros(leat):.2f}×' if leat else ''} |")
        print("\n`leat transform` is counted with its start and with reading and writing its files; the peers without.")
    for name, found in starts.items():
        print(f"\nProcess start to first answer, `{name}`: " + (f"{found[0]:.1f} ms ({found[1]})." if found else "not built; `make package` or `make build`."))
    print("\nZips: " + (", ".join(f"{name} {size / 1e6:.2f} MB" for name, size in sizes.items()) or "none; `make package` makes them") + ".")
    if missing:
        print("\nNot installed:")
        for name, how in missing.items():
            print(f"- {name}: {how}")
    elif not os.environ.get("LEAT_BENCH_KIT"):
        print("\nPython, Node, Polars and DuckDB join with the peer kit: LEAT_BENCH_KIT=<its folder> LEAT_BENCH_WORK=<where it is set up> make bench")


if __name__ == "__main__":
    main()
