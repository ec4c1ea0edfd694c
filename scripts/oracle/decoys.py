"""Says which keys of other families a model's own class ignores: the rows of test/oracle/decoys.json.

    python scripts/oracle/decoys.py                  # the table anew
    python scripts/oracle/decoys.py --build [TYPE]   # builds each model with each key, and names those whose count moves after all

Needs transformers 5.18.0, for `--build` torch 2.13.0. A file may state a size under a name that its class does not read; the
class then takes its default, so a count that goes by such a name is wrong. The keys are the names that families share (`names` in
src/families/shape.ts) and those that at least ten classes read. The configs are small ones of the other oracles' tables; a
row is {config, at, ignored}: none of the keys `ignored`, put into the part `at` of the config, is read by the class of that part.
"""

import collections
import copy
import json
import re
import sys

import transformers
from defaults import FILE, ROOT, VERSION, classes, names_of

HERE = ROOT / "test" / "oracle"
ORDER = ("small", "odd", "wide", "switched", "default")
PROBE = 3


def vocabulary():
    text = (ROOT / "src" / "families" / "shape.ts").read_text()
    shared = re.findall(r"'(\w+)'", re.search(r"export const names = \{(.*?)\} as const", text, re.S).group(1))
    names = json.loads(FILE.read_text())["names"]
    often = collections.Counter(key for kind, row in names.items() if kind for key in row.split())
    return sorted(set(shared) | {key for key, count in often.items() if count >= 10})


def configs():
    """One small config for each type, and for each type of part."""
    found = {}
    for table in ("transformers.json", "encoders.json", "multimodal.json"):
        rows = json.loads((HERE / table).read_text())
        rank = {name: place for place, name in enumerate(ORDER)}
        for row in sorted(rows, key=lambda row: rank.get(row["variant"].split(", ")[-1].replace("default", "small" if table == "encoders.json" else "default"), 9)):
            config = row["config"]
            found.setdefault((row["model_type"], ""), config)
            for key, part in config.items():
                if isinstance(part, dict) and isinstance(part.get("model_type"), str):
                    found.setdefault((part["model_type"], key), config)
    return found


def rows():
    keys, kinds = set(vocabulary()), classes()
    names = json.loads(FILE.read_text())["names"]
    for (name, at), config in sorted(configs().items()):
        kind = kinds.get(name)
        if not name or kind is None or name not in names:
            continue
        stated = config[at] if at else config
        own = set(names_of(kind, keys).split())
        ignored = sorted(keys - own - set(names[""].split()) - set(stated))
        yield dict(type=name, at=at, config=config, ignored=" ".join(ignored))


def check(wanted):
    """Builds the models themselves: a key that a class ignores must not move what it counts."""
    import count as oracle

    for row in json.loads((HERE / "decoys.json").read_text()):
        if row["at"] or (wanted and row["type"] not in wanted) or row["type"] not in oracle.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
            continue

        def size(extra, row=row):
            return oracle.count(oracle.build(transformers.AutoConfig.for_model(row["type"], **{k: v for k, v in copy.deepcopy(row["config"]).items() if k != "model_type"}, **extra)))

        try:
            total = size({})
        except Exception as error:
            print(f"{row['type']}: {oracle.reason_of(error)}", flush=True)
            continue
        moved = []
        for key in row["ignored"].split():
            try:
                if size({key: PROBE}) != total:
                    moved.append(key)
            except Exception:
                moved.append(f"{key} (fails)")
        print(f"{row['type']}: {len(row['ignored'].split())} keys{', moved by ' + ', '.join(moved) if moved else ''}", flush=True)


if __name__ == "__main__":
    if transformers.__version__ != VERSION:
        sys.exit(f"transformers {VERSION} is needed, this is {transformers.__version__}")
    if "--build" in sys.argv:
        check(set(sys.argv[1:]) - {"--build"})
        sys.exit()
    (HERE / "decoys.json").write_text("[\n" + ",\n".join(json.dumps(row, default=str, separators=(",", ":")) for row in rows()) + "\n]\n")
