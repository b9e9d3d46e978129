"""Scores the same clips with the reference tools one after another and with ``emo-bench score``.

Prints time, memory and the numbers of both.

Both sides get the same files, the same weights (official formats; seeded random values unless ``--inception`` names a
trained network) and the same number of threads, and every tool runs in a process of its own. The reference side does
what the READMEs say: frames become PNG files once, then each tool reads its folders.

    python benchmarks/score_vs_reference.py --clips FOLDER_OF_VIDEOS --n-clips 4
    python benchmarks/score_vs_reference.py                  # clips of HDTF-Synth, made when they are missing

Needs the dependency group ``reference``. syncnet-python is not among the tools: with random weights its detector finds
no faces, so the whole pipeline would measure nothing (tests/emo_metrics/parity compares its parts).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

FRAMES_PER_CLIP = 32
WINDOW, WINDOWS_PER_CLIP = 16, 8
INCEPTION = "pt_inception-2015-12-05-6726825d.pth"
I3D = "i3d_pretrained_400.pt"
ALEX = "alexnet-owt-7be5be79.pth"
OURS = {
    "pytorch-fid: FID": ("fid/pytorch-fid@1", "fid"),
    "torch-fidelity: FID": ("fid/torch-fidelity@1", "fid"),
    "torch-fidelity: KID x 1000": ("kid/torch-fidelity@1", "kid"),
    "clean-fid: FID": ("fid/clean@1", "fid"),
    "lpips: LPIPS (alex)": ("lpips/alex@0.1", "lpips"),
    "torchmetrics: PSNR": ("psnr/rgb@1", "psnr"),
    "torchmetrics: SSIM": ("ssim/gauss11@1", "ssim"),
    "cd-fvd: FVD": ("fvd/cd-i3d@1", "fvd"),
}
"""Number of a reference tool -> protocol and value of ours."""

Numbers = dict[str, float]


# ---------------------------------------------------------------------------------------------------------- the inputs


def prepare(folder: Path, *, clips: Path | None, n_clips: int, seconds: float, size: int, crf: int) -> None:
    """Writes ``truth`` and ``generated`` (the truth after H.264), both lossless, 25 frames a second, square."""
    from emo_bench.data.manifest import ManifestEntry, file_hashes, write_manifest
    from emo_bench.media.decode import load_pair
    from emo_bench.media.lossless import write_clip
    from emo_bench.media.preview import encode_roundtrip
    from emo_bench.media.types import Audio
    from emo_bench.systems.conform import fit_length, resize_video

    entries = []
    for index, (source, sound) in enumerate(_sources(clips)):
        if len(entries) == n_clips:
            break
        pair = load_pair(source, sound, fps=Fraction(25), rate=16000)
        n_frames = round(25 * seconds)
        if pair.video.spec.n_frames < n_frames:
            continue
        video = resize_video(fit_length(pair.video, n_frames=n_frames), width=size, height=size, crop=True)
        audio = Audio(np.resize(pair.audio.samples, round(16000 * seconds)), 16000)
        name = f"clip-{index:02d}"
        write_clip(folder / "truth" / f"{name}.mkv", video, audio, fps=Fraction(25))
        worse = encode_roundtrip(video, crf=crf)
        write_clip(folder / "generated" / f"{name}.mkv", worse, audio, fps=Fraction(25))
        hashes = file_hashes(folder / "truth", video=f"{name}.mkv")
        entries.append(ManifestEntry(id=name, video=f"{name}.mkv", identity=name, sha256=hashes))
    if len(entries) < n_clips:
        raise SystemExit(
            f"expected {n_clips} clips of at least {seconds:g} s, found {len(entries)}; "
            "give a folder with as many by --clips, or a smaller --n-clips"
        )
    write_manifest(folder / "truth" / "manifest.jsonl", entries)


def _sources(clips: Path | None) -> list[tuple[Path, Path | None]]:
    from emo_bench.data.naming import videos_below

    if clips is not None:
        beside = {path: path.with_name(path.stem.removesuffix("_silent") + ".wav") for path in videos_below(clips)}
        return [(path, sound if sound.is_file() else None) for path, sound in sorted(beside.items())]
    from emo_bench.data.sets.hdtf_synth import make_hdtf_synth

    folder = Path("data/hdtf-synth/mini")
    make_hdtf_synth(folder, slice="mini", size=128, progress=None)
    return [(path, None) for path in sorted(videos_below(folder))]


def make_weights(folder: Path, *, inception: Path | None, official: Path | None) -> None:
    """Weight files in the official formats, from random values, a trained Inception or the official tensors."""
    import torch
    from torchvision.models import alexnet

    from emo_metrics.extractors.open_inception import load_open_inception
    from emo_metrics.networks.i3d import I3d
    from emo_metrics.networks.inception_fid import InceptionFid

    folder.mkdir(parents=True, exist_ok=True)
    if official is not None:
        _official_weights(official, folder)
        return
    network = InceptionFid()
    _randomise(network, 0)
    state = network.state_dict()
    if inception is not None:
        trained = {
            name.removeprefix("0."): value for name, value in load_open_inception(inception).state_dict().items()
        }
        state = {name: trained.get(name, value) for name, value in state.items()}
    torch.save(state, folder / INCEPTION)
    video_network = I3d()
    _randomise(video_network, 1)
    torch.save(video_network.state_dict(), folder / I3D)
    trunk = alexnet(weights=None).features
    _randomise(trunk, 2)
    torch.save({f"features.{name}": value for name, value in trunk.state_dict().items()}, folder / ALEX)


def _official_weights(fetched: Path, folder: Path) -> None:
    """The tensors of ``emo-bench weights fetch --family reference``, under the names that the tools expect."""
    import torch
    from safetensors.torch import load_file

    from emo_metrics.networks.inception_fid import InceptionFid

    state = InceptionFid().state_dict()  # with the classifier, which the tools load and nobody reads
    torch.save({**state, **load_file(fetched / "fid-inception-2015-12-05.safetensors")}, folder / INCEPTION)
    torch.save(load_file(fetched / "i3d-kinetics-400.safetensors"), folder / I3D)
    torch.save(load_file(fetched / "lpips-alexnet-trunk.safetensors"), folder / ALEX)


def _randomise(network: Any, seed: int) -> None:
    """Weights under which signals neither vanish nor explode."""
    import torch
    from torch import nn

    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d | nn.Linear):
            module.weight.data.normal_(0.0, (2.0 / module.weight[0].numel()) ** 0.5, generator=generator)
            if module.bias is not None:
                module.bias.data.normal_(0.0, 0.1, generator=generator)
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            module.weight.data.uniform_(0.8, 1.2, generator=generator)
            module.bias.data.normal_(0.0, 0.1, generator=generator)
            module.running_mean.normal_(0.0, 0.1, generator=generator)
            module.running_var.uniform_(0.7, 1.3, generator=generator)


# ------------------------------------------------------------------------------- the reference tools, each in a process


def extract(folder: Path) -> Numbers:
    """All frames as PNG files, which is what every README starts from; sampled ones are linked into one folder."""
    import av

    for side in ("truth", "generated"):
        (folder / "sampled" / side).mkdir(parents=True, exist_ok=True)
        for path in sorted((folder / side).glob("*.mkv")):
            target = folder / "frames" / side / path.stem
            target.mkdir(parents=True, exist_ok=True)
            with av.open(str(path)) as container:
                for index, frame in enumerate(container.decode(video=0)):
                    frame.to_image().save(target / f"{index:05d}.png")
            files = sorted(target.glob("*.png"))
            for index in _sampled(len(files)):
                os.link(files[index], folder / "sampled" / side / f"{path.stem}-{index:05d}.png")
    return {}


def _sampled(count: int) -> list[int]:
    """The middles of up to 32 equal parts; written out here, so that this process need not load torch for it."""
    taken = min(count, FRAMES_PER_CLIP)
    return [(2 * index + 1) * count // (2 * taken) for index in range(taken)]


def _clips(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "frames" / "truth").iterdir())


def _png_frames(folder: Path) -> np.ndarray:
    from PIL import Image

    return np.stack([np.asarray(Image.open(path).convert("RGB")) for path in sorted(folder.glob("*.png"))])


def pytorch_fid(folder: Path) -> Numbers:
    """``python -m pytorch_fid path1 path2``."""
    import torch
    from pytorch_fid import fid_score, inception

    inception.load_state_dict_from_url = lambda *_, **__: torch.load(folder / "weights" / INCEPTION)
    paths = [str(folder / "sampled" / side) for side in ("generated", "truth")]
    return {
        "pytorch-fid: FID": float(
            fid_score.calculate_fid_given_paths(paths, batch_size=50, device="cpu", dims=2048, num_workers=0)
        )
    }


def torch_fidelity(folder: Path) -> Numbers:
    """``torch_fidelity.calculate_metrics`` with FID and KID; KID on one subset of everything."""
    import torch_fidelity as package

    count = len(list((folder / "sampled" / "truth").glob("*.png")))
    found = package.calculate_metrics(
        input1=str(folder / "sampled" / "generated"),
        input2=str(folder / "sampled" / "truth"),
        cuda=False,
        fid=True,
        kid=True,
        kid_subsets=1,
        kid_subset_size=count,
        feature_extractor_weights_path=str(folder / "weights" / INCEPTION),
        cache=False,
        save_cpu_ram=True,
        verbose=False,
    )
    return {
        "torch-fidelity: FID": float(found["frechet_inception_distance"]),
        "torch-fidelity: KID x 1000": 1000 * float(found["kernel_inception_distance_mean"]),
    }


def clean_fid(folder: Path) -> Numbers:
    """``fid.compute_fid(fdir1, fdir2)``; the network is pytorch-fid's, since clean-fid's own file is TorchScript."""
    import torch
    from cleanfid import fid
    from pytorch_fid import inception

    inception.load_state_dict_from_url = lambda *_, **__: torch.load(folder / "weights" / INCEPTION)
    blocks = inception.InceptionV3([3], resize_input=False, normalize_input=False).eval()

    def features(batch: torch.Tensor) -> torch.Tensor:
        return blocks((batch - 128.0) / 128.0)[0][:, :, 0, 0]

    value = fid.compute_fid(
        str(folder / "sampled" / "generated"),
        str(folder / "sampled" / "truth"),
        mode="clean",
        num_workers=0,
        device=torch.device("cpu"),
        custom_feat_extractor=features,
        verbose=False,
    )
    return {"clean-fid: FID": float(value)}


def lpips(folder: Path) -> Numbers:
    """``lpips_2dirs.py``: pairs of files of the same name."""
    import lpips as package
    import torch

    from emo_metrics.networks.lpips_trunks import heads_file

    network = package.LPIPS(
        net="alex", version="0.1", pnet_rand=True, verbose=False, model_path=str(heads_file("alex"))
    )
    state = torch.load(folder / "weights" / ALEX)
    network.net.load_state_dict({name: state[f"features.{name.split('.', 1)[1]}"] for name in network.net.state_dict()})
    distances = []
    with torch.no_grad():
        for path in sorted((folder / "sampled" / "generated").glob("*.png")):
            pair = [package.im2tensor(package.load_image(str(p))) for p in (path, folder / "sampled/truth" / path.name)]
            distances.append(float(network(*pair)))
    return {"lpips: LPIPS (alex)": float(np.mean(distances))}


def torchmetrics(folder: Path) -> Numbers:
    """PSNR and SSIM of all frames, clip by clip."""
    import torch
    from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

    values: dict[str, list[float]] = {"torchmetrics: PSNR": [], "torchmetrics: SSIM": []}
    for clip in _clips(folder):
        x, y = (
            torch.from_numpy(_png_frames(folder / "frames" / side / clip)).permute(0, 3, 1, 2).float()
            for side in ("generated", "truth")
        )
        psnr = peak_signal_noise_ratio(x, y, data_range=255.0, dim=(1, 2, 3), reduction="elementwise_mean")
        values["torchmetrics: PSNR"].append(float(psnr))
        values["torchmetrics: SSIM"].append(float(structural_similarity_index_measure(x, y, data_range=255.0)))
    return {name: float(np.mean(numbers)) for name, numbers in values.items()}


def cd_fvd(folder: Path) -> Numbers:
    """``cdfvd('i3d').compute_fvd(real, fake)`` on the same windows of 16 frames."""
    from cdfvd.fvd import cdfvd

    from emo_metrics.networks.fixed_batches import window_starts

    windows = {}
    for side in ("truth", "generated"):
        videos = [_png_frames(folder / "frames" / side / clip) for clip in _clips(folder)]
        windows[side] = np.stack(
            [v[s : s + WINDOW] for v in videos for s in window_starts(len(v), WINDOW, WINDOWS_PER_CLIP)]
        )
    evaluator = cdfvd("i3d", ckpt_path=str(folder / "weights" / I3D), device="cpu", n_fake="full")
    return {"cd-fvd: FVD": float(evaluator.compute_fvd(windows["truth"], windows["generated"]))}


# ---------------------------------------------------------------------------------------------------------------- ours


def emo_bench(folder: Path, *, inference: str = "torch", device: str = "cpu") -> Numbers:
    """``emo-bench score`` with one protocol per number, without the anchors, which the reference tools do not have."""
    started = time.process_time()
    from emo_bench.api import score
    from emo_bench.extract import single_pass, weights
    from emo_core.hashing import sha256_file

    # The registry pins the official bytes; here it pins those of the files that both sides share.
    table = {
        name: entry.model_copy(update={"sha256": sha256_file(folder / "weights" / name)})
        if (folder / "weights" / name).is_file()
        else entry
        for name, entry in weights.weights_table().items()
    }
    weights.weights_table = lambda: table  # type: ignore[assignment]
    spent = _timed_extractors(single_pass)
    result = score(
        folder / "generated",
        folder / "truth" / "manifest.jsonl",
        metrics=list(dict.fromkeys(protocol for protocol, _ in OURS.values())),
        options={
            "anchors": [],
            "execution": {"workers": 1, "inference": inference, "device": device},
            "weights": {"folders": [str(folder / "weights")]},
            "report": {"previews": False},
            "output": str(folder / f"run-{inference}"),
            "store": str(folder / f"store-{inference}"),
        },
        quiet=True,
    )
    assert result.record.status == "complete", result.record.failures
    parts = {f"extract: {name}": seconds for name, seconds in sorted(spent.items())}
    networks = sum(seconds for name, seconds in spent.items() if not name.startswith("pixels/"))
    whole = time.process_time()
    parts["start of the program"] = started
    parts["everything else: loading, decoding, digests, numbers, intervals, report"] = (
        whole - started - sum(spent.values())
    )
    parts["share of the networks' extractors"] = networks / whole
    (folder / f"where-{inference}.json").write_text(json.dumps(parts), encoding="utf-8")
    found = {(entry.protocol, entry.key): entry.value for entry in result.record.values if entry.system == "generated"}
    return {name: float(found[value] or float("nan")) for name, value in OURS.items()}


def emo_bench_openvino(folder: Path) -> Numbers:
    """The same with the networks computed by OpenVINO."""
    return emo_bench(folder, inference="openvino")


def _timed_extractors(module: Any) -> Counter[str]:
    """Processor seconds inside each extractor, counted from now on."""
    spent: Counter[str] = Counter()
    running = module._Running

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, *arguments: Any) -> Any:
            start = time.process_time()
            try:
                return function(self, *arguments)
            finally:
                spent[self.extractor.name] += time.process_time() - start

        return call

    running.update, running.finish = timed(running.update), timed(running.finish)
    return spent


PARTS: dict[str, Callable[[Path], Numbers]] = {
    "frames to PNG": extract,
    "pytorch-fid": pytorch_fid,
    "torch-fidelity": torch_fidelity,
    "clean-fid": clean_fid,
    "lpips": lpips,
    "torchmetrics": torchmetrics,
    "cd-fvd": cd_fvd,
    "emo-bench score": emo_bench,
    "emo-bench score, openvino": emo_bench_openvino,
}
OURS_PARTS = {"emo-bench score": "torch", "emo-bench score, openvino": "openvino"}


# ------------------------------------------------------------------------------------------------------- the comparison


def measured(part: str, folder: Path, threads: int) -> dict[str, float]:
    """Runs one part in its own process: wall seconds, processor seconds, peak memory in MB (largest process)."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        environment[name] = str(threads)
    command = [sys.executable, str(Path(__file__).resolve()), "--part", part, "--work", str(folder)]
    started = time.perf_counter()
    with (folder / "log.txt").open("a", encoding="utf-8") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        tail = (folder / "log.txt").read_text(encoding="utf-8").splitlines()[-15:]
        raise SystemExit(f"{part} failed:\n" + "\n".join(tail))
    return {
        "wall": time.perf_counter() - started,
        "processor": usage.ru_utime + usage.ru_stime,
        "memory": usage.ru_maxrss / 1024,
    }


def compare(folder: Path, threads: int) -> None:
    """Runs all parts and prints what came out."""
    usage = {}
    for part in PARTS:
        if part.endswith("openvino") and find_spec("openvino") is None:
            continue
        usage[part] = measured(part, folder, threads)
        cost = usage[part]
        print(f"{part:25s} {cost['wall']:8.1f} s wall {cost['processor']:8.1f} s processor {cost['memory']:7.0f} MB")
        sys.stdout.flush()
    tools = [part for part in usage if part not in OURS_PARTS]
    numbers = {name: value for part in tools for name, value in _numbers(folder, part).items()}
    for part in [part for part in usage if part in OURS_PARTS]:
        _show(folder, part, [usage[tool] for tool in tools], usage[part], numbers)


def _show(
    folder: Path, part: str, tools: list[dict[str, float]], ours: dict[str, float], numbers: dict[str, float]
) -> None:
    """Ratios, differences and shares of one of our parts."""
    print(f"\n{part}")
    for name in ("wall", "processor"):
        theirs = sum(cost[name] for cost in tools)
        print(f"{name:10s} reference {theirs:8.1f} s, emo-bench {ours[name]:8.1f} s: {theirs / ours[name]:.2f} x")
    peak = max(cost["memory"] for cost in tools)
    print(f"memory     reference {peak:8.0f} MB, emo-bench {ours['memory']:8.0f} MB")
    own = _numbers(folder, part)
    print("\n| number | reference | emo-bench | difference |\n| --- | --- | --- | --- |")
    for name, (protocol, _) in OURS.items():
        theirs, mine = numbers[name], own[name]
        print(f"| {name}, `{protocol}` | {theirs:.8g} | {mine:.8g} | {abs(mine - theirs) / abs(theirs):.1e} relative |")
    print("\nwhere emo-bench's time goes (processor seconds):")
    for name, seconds in json.loads((folder / f"where-{OURS_PARTS[part]}.json").read_text(encoding="utf-8")).items():
        print(f"  {seconds:7.2f}  {name}")


def _numbers(folder: Path, part: str) -> Numbers:
    return json.loads((folder / f"{part.replace(' ', '-')}.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def main() -> None:
    """Reads the options; with ``--part`` this process is one of those that are measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clips", type=Path, help="folder of videos; clips of HDTF-Synth when absent")
    parser.add_argument("--n-clips", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--crf", type=int, default=35, help="H.264 quality of the generated side")
    parser.add_argument(
        "--inception", type=Path, help="inceptionv3_nsfwjs_uint8_tvnames.safetensors, instead of random"
    )
    parser.add_argument("--weights", type=Path, help="folder of `weights fetch --family reference`, instead of random")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--work", type=Path, help="folder for everything; temporary when absent")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        found = PARTS[options.part](options.work)
        (options.work / f"{options.part.replace(' ', '-')}.json").write_text(json.dumps(found), encoding="utf-8")
        return
    if options.work is not None and options.work.is_dir() and any(options.work.iterdir()):
        # What lies there would spare one side its work.
        raise SystemExit(f"{options.work} is not empty: expected a fresh folder; delete it, or give --work another")
    folder = options.work or Path(tempfile.mkdtemp(prefix="score-vs-reference-"))
    try:
        prepare(
            folder, clips=options.clips, n_clips=options.n_clips, seconds=options.seconds, size=options.size,
            crf=options.crf,
        )  # fmt: skip
        make_weights(folder / "weights", inception=options.inception, official=options.weights)
        compare(folder, options.threads)
    finally:
        if options.work is None:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
