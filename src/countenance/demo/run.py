"""The whole job on the embedded synthetic performers, stage by stage; what is there already is used again."""

from __future__ import annotations

import json
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any, Protocol

from countenance import api
from countenance.atomic import output_error, write_bytes
from countenance.config import CONFIG_NAME
from countenance.demo.surroundings import program_sha256, surroundings
from countenance.digest import file_sha256
from countenance.errors import ConsentError
from countenance.project import Project

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from countenance.consent.record import ConsentRecord
    from countenance.evaluation.compare import ClipScore
    from countenance.progress import Progress

__all__ = ["LENDER", "PERFORMER", "PRESET", "DemoResult", "OpensBar", "Stage", "run_demo"]

LENDER, PERFORMER, PRESET = "vera", "ivan", "swift"
"""Names of the two synthetic people, and the preset that is trained."""

_WITNESS = "witness"
_CLIPS = {LENDER: "train_B.mp4", PERFORMER: "train_A.mp4"}
_FOOTAGE, _TRUTH, _MASK = "test_A.mp4", "test_gt_matched.mp4", "test_gt_matched_mask.mp4"
_PASSPHRASE = "nobody of flesh and blood"  # noqa: S105 - the key of a person who does not exist guards nothing
_TERM_DAYS = 3650
_SCHEMA = 1


class OpensBar(Protocol):
    """Shows progress under a name: the command line's bar, or nothing in tests."""

    def __call__(self, name: str, /) -> AbstractContextManager[Progress]:
        """A progress callback for the length of a ``with`` block."""
        ...


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: whether what it makes was there already, how long this run took, and how long making it took."""

    name: str
    title: str
    says: str
    reused: bool
    seconds: float
    made_in_seconds: float


@dataclass(frozen=True, slots=True)
class DemoResult:
    """``facts`` as written to ``result.json``; ``text`` a few lines for people."""

    facts: dict[str, Any]
    text: str


def run_demo(
    out: Path, *, minutes: float, bar: OpensBar, say: Callable[[str], None], clips: Path | None = None
) -> DemoResult:
    """Extract, agree, train, swap, verify, measure, report; into ``out``.

    Args:
        out: the folder for the results; the project lies in it as ``project``.
        minutes: training time in all, over all runs of the demo in this folder.
        bar: shows progress.
        say: told a sentence after each stage.
        clips: a folder with clips of the same names; the embedded ones when None.

    Raises:
        CountenanceError: as the commands themselves.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(out, error) from error
    embedded = as_file(files("countenance") / "data" / "performers")
    with embedded if clips is None else nullcontext(clips) as folder:
        demo = _Demo(out, folder, minutes, bar, say)
        for name, title, action in demo.plan():
            demo.run(name, title, action)
        return demo.finish()


class _Demo:
    """The state that grows from stage to stage."""

    def __init__(self, out: Path, clips: Path, minutes: float, bar: OpensBar, say: Callable[[str], None]) -> None:
        self.out, self.clips, self.minutes, self._bar, self._say = out, clips, minutes, bar, say
        self.swapped = out / "swapped.mp4"
        self.before = _read_json(out / "result.json")
        self.made_in = _read_json(self._timings_path).get("made_in_seconds", {})
        self.stages: list[Stage] = []
        self.facts: dict[str, Any] = {"schema": _SCHEMA, "made_at": datetime.now(UTC).isoformat(timespec="seconds")}
        self.scores: dict[str, ClipScore] = {}

    @property
    def _timings_path(self) -> Path:
        return self.out / "timings.json"

    def plan(self) -> list[tuple[str, str, Callable[[], tuple[str, bool]]]]:
        """The stages in order: name, title, and what does it; each says what it did and whether it was there."""
        return [
            ("project", "Open a project", self.open_project),
            ("extract-lender", f"Gather the lender's faces ({LENDER})", lambda: self.extract(LENDER)),
            ("extract-performer", f"Gather the performer's faces ({PERFORMER})", lambda: self.extract(PERFORMER)),
            ("consent", "Agree: signed consent records", self.consent),
            ("train", f"Train the {PRESET} model", self.train),
            ("swap", "Replace the face, mark and sign", self.swap),
            ("verify", "Verify, as anybody could", self.verify),
            ("measure", "Compare with the truth", self.measure),
        ]

    def run(self, name: str, title: str, action: Callable[[], tuple[str, bool]]) -> None:
        """Run a stage, take its time and tell."""
        began = time.perf_counter()
        says, reused = action()
        seconds = time.perf_counter() - began
        before = float(self.made_in.get(name, 0.0))
        went_on = name == "train" and self.facts["training"]["resumed"]
        made_in = (before or seconds) if reused else seconds + (before if went_on else 0.0)
        self.stages.append(Stage(name, title, says, reused, seconds, made_in))
        self.made_in[name] = made_in  # written at once: after an interruption the finished stages are used again
        timings = {"schema": _SCHEMA, "made_in_seconds": self.made_in}
        write_bytes(self._timings_path, json.dumps(timings, indent=2).encode("ascii"))
        self._say(f"{title}: {says} [{'used again' if reused else f'{seconds:.1f} s'}]")

    def open_project(self) -> tuple[str, bool]:
        """The folder of the work."""
        root = self.out / "project"
        there = (root / CONFIG_NAME).exists()
        self.project = Project.open(root) if there else api.new(root, title="Countenance demo", purpose="research")
        return str(root), there

    def extract(self, person: str) -> tuple[str, bool]:
        """The face set of one of the two."""
        with self._bar(f"extract {person}") as progress:
            report = api.extract(self.project, person, [self.clips / _CLIPS[person]], progress=progress)
        rejected = dict(report.rejected)
        self.facts.setdefault("faces", {})[person] = {"kept": report.kept, "rejected": rejected}
        why = ", ".join(f"{count} {reason}" for reason, count in rejected.items())
        says = f"{report.kept} faces kept, {sum(rejected.values())} rejected" + (f" ({why})" if why else "")
        return says, report.frames_read == 0

    def consent(self) -> tuple[str, bool]:
        """Both people's records, signed with keys made here, for two who do not exist: to lend, and to be replaced."""
        there = all(self.project.consent_path(person).exists() for person in (LENDER, PERFORMER))
        record = self._agree(LENDER, performers=[PERFORMER])
        self._agree(PERFORMER, replaced=True)
        self.facts["consent"] = {
            "record_id": record.id,
            "record_sha256": record.sha256,
            "purposes": list(record.purposes),
            "title": record.title,
            "synthetic": record.synthetic,
            "expires": record.expires.isoformat(),
        }
        return f"{LENDER}, a synthetic person, lends a face to {PERFORMER} until {record.expires:%Y-%m-%d}", there

    def _agree(self, person: str, **terms: Any) -> ConsentRecord:
        """A person's record; signed now where there is none."""
        from countenance.consent.keys import public_path

        if not self.project.consent_path(person).exists():
            if not self.project.template_path(person).exists():
                api.consent_enrol(self.project, person)
            keys = {who: self.out / f"{who}.key" for who in (person, _WITNESS)}
            for key in keys.values():
                if not key.exists():
                    api.consent_keygen(key, _PASSPHRASE)
            request = api.consent_request(
                self.project,
                person,
                witness=public_path(keys[_WITNESS]),
                witness_role="producer",
                term_days=_TERM_DAYS,
                synthetic=True,
                **terms,
            )
            signed = api.consent_sign(request.path, keys[person], _PASSPHRASE, project=self.project)
            api.consent_witness(signed.path, keys[_WITNESS], _PASSPHRASE, project=self.project)
        check = api.consent_check(self.project, person)
        if check.record is None or not check.good:
            problems = " ".join(check.problems)
            raise ConsentError(
                f"The demo's consent record of {person} is not good any more. {problems} Delete {self.out} to begin "
                "anew."
            )
        return check.record

    def train(self) -> tuple[str, bool]:
        """The model."""
        with self._bar("train") as progress:
            report = api.train(self.project, LENDER, PERFORMER, preset=PRESET, minutes=self.minutes, progress=progress)
        self.facts["training"] = {
            "preset": report.preset,
            "budget_minutes": self.minutes,
            "iterations": report.iteration,
            "samples_seen": report.samples_seen,
            "seconds": report.seconds,
            "resumed": report.resumed,
            "history": [dict(row) for row in report.history],
        }
        self.facts["surroundings"] = surroundings(report.device)
        self.model_dir = report.model_dir
        says = f"{report.iteration} iterations in {report.seconds / 60.0:.1f} minutes on {report.device}"
        return says, report.trained_seconds == 0.0

    def swap(self) -> tuple[str, bool]:
        """The render; made again when anything that goes into it has changed."""
        key = _digest(
            program_sha256(),
            file_sha256(self.clips / _FOOTAGE),
            self.facts["consent"]["record_sha256"],
            *(file_sha256(path) for path in sorted(self.model_dir.glob("checkpoint.*"))),
        )
        old = self.before.get("render", {})
        if old.get("inputs_sha256") == key and old.get("sha256") == _sha256_if_there(self.swapped):
            self.facts["render"] = old
            return _frames_told(old), True
        with self._bar("swap") as progress:
            report = api.swap(
                self.project,
                self.clips / _FOOTAGE,
                lender=LENDER,
                performer=PERFORMER,
                output=self.swapped,
                preset=PRESET,
                overwrite=True,
                progress=progress,
            )
        self.facts["render"] = {
            "inputs_sha256": key,
            "sha256": report.sha256,
            "watermark": report.watermark,
            "seconds": report.seconds,
            **report.convert.to_json(),
        }
        return _frames_told(self.facts["render"]), False

    def verify(self) -> tuple[str, bool]:
        """What anybody who gets the file can find out, with the record at hand."""
        result = api.verify(self.swapped, record=self.project.consent_path(LENDER))
        self.facts["verification"] = result.to_dict()
        layers = ", ".join(f"{name} {layer.state.replace('_', ' ')}" for name, layer in result.layers.items())
        return f"{result.verdict} ({layers})", False

    def measure(self) -> tuple[str, bool]:
        """The figures, whatever they are."""
        from countenance.evaluation.compare import compare

        with self._bar("measure") as progress:
            for name, clip in (("swap", self.swapped), ("footage", self.clips / _FOOTAGE)):
                self.scores[name] = compare(clip, self.clips / _TRUTH, self.clips / _MASK, progress=progress)
        self.facts["quality"] = {name: score.to_json() for name, score in self.scores.items()}
        swap, footage = self.scores["swap"], self.scores["footage"]
        says = (
            f"inside the face SSIM {swap.ssim:.3f} (untouched footage {footage.ssim:.3f}, truth 1), "
            f"PSNR {swap.psnr_db:.1f} dB (untouched {footage.psnr_db:.1f} dB)"
        )
        return says, False

    def finish(self) -> DemoResult:
        """Draw the pictures, write the page and the numbers."""
        from countenance.demo.page import write_page

        self.facts["stages"] = [asdict(stage) for stage in self.stages]
        self.facts["seconds"] = sum(stage.seconds for stage in self.stages)
        self.facts["made_in_seconds"] = sum(stage.made_in_seconds for stage in self.stages)
        clips = {"footage": self.clips / _FOOTAGE, "swap": self.swapped, "truth": self.clips / _TRUTH}
        write_page(self.out, self.facts, clips)
        data = json.dumps(self.facts, ensure_ascii=False, indent=2, allow_nan=False)
        write_bytes(self.out / "result.json", data.encode("utf-8"))
        names = "swapped.mp4, contact_sheet.png, report.html, result.json"
        text = [
            f"{self.stages[-1].says[0].upper()}{self.stages[-1].says[1:]}.",
            self.facts["verification"]["summary"],
            f"Took {self.facts['seconds'] / 60.0:.1f} minutes. In {self.out}: {names}.",
        ]
        return DemoResult(self.facts, "\n".join(text))


def _frames_told(render: dict[str, Any]) -> str:
    return (
        f"{render['replaced']} of {render['frames']} frames replaced, {render['veiled']} veiled, at "
        f"{render['frames_per_second']:.1f} frames a second"
    )


def _read_json(path: Path) -> dict[str, Any]:
    """What an earlier run wrote; nothing where there is no such file, or one that cannot be understood."""
    try:
        facts = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    usable = isinstance(facts, dict) and facts.get("schema") == _SCHEMA
    return facts if usable else {}


def _digest(*parts: str) -> str:
    import hashlib

    return hashlib.sha256("\n".join(parts).encode("ascii")).hexdigest()


def _sha256_if_there(path: Path) -> str | None:
    return file_sha256(path) if path.is_file() else None
