"""What W&B's offline runs hold, read back from their files."""

import json
import struct
import time


def chunks(data):
    """The records of a log in LevelDB's format, which W&B's files have behind 7 bytes."""
    at, part = 7, b""
    while at + 7 <= len(data):
        room = 32768 - at % 32768
        if room < 7:  # the rest of a block is empty
            at += room
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        if at + 7 + length > len(data):  # half of it is written so far
            return
        part += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield part
            part = b""


def written(folder, exits=1):
    """All that the offline runs in a folder hold: values by name, and run ids.

    Names of the config's values begin with "config/", those of artifacts, whose values are the
    paths of their files, with "artifact/".

    W&B's own process writes the end of a file some time after `finish`.
    """
    for _ in range(100):
        values, ids, ended = read(folder)
        if ended == exits:
            return values, ids
        time.sleep(0.1)
    raise AssertionError(f"{ended} of {exits} runs ended")


def read(folder):
    from wandb.proto import wandb_internal_pb2

    summary, ids, ended = {}, set(), 0
    for path in sorted(
        folder.glob("wandb/offline-run-*/*.wandb"), key=lambda p: p.stat().st_mtime_ns
    ):
        for data in chunks(path.read_bytes()):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(data)
            ended += record.HasField("exit")
            if record.run.run_id:
                ids.add(record.run.run_id)
            for item in (*record.config.update, *record.run.config.update):
                summary[f"config/{item.key}"] = json.loads(item.value_json)
            for made in (record.artifact, record.request.log_artifact.artifact):
                if made.name:
                    summary[f"artifact/{made.type}"] = [e.path for e in made.manifest.contents]
            for item in record.summary.update:
                summary[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
            for item in record.history.item:
                summary[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
    return summary, ids, ended
