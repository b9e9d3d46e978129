"""Small fakes of the real programs: they take exactly the documented arguments and leave files the same way.

Each is the text of a Python script that is put into a folder like the method's checkout. They import ``draw`` (below),
which writes a short H.264 video with or without sound.
"""

from __future__ import annotations

DRAW = '''
"""Writes small videos; what the fakes share."""
import wave
from pathlib import Path

import av
import numpy as np
from PIL import Image


def seconds_of(audio):
    with wave.open(str(audio)) as sound:
        return sound.getnframes() / sound.getframerate()


def write(path, image, audio, *, fps, size=None, silent=False, seconds=None, seed=0, panels=1):
    picture = Image.open(image).convert("RGB")
    if size:
        picture = picture.resize(size)
    pixels = np.asarray(picture)
    pixels = pixels[: pixels.shape[0] // 2 * 2, : pixels.shape[1] // 2 * 2]
    length = seconds_of(audio) if seconds is None else seconds
    n_frames = max(1, round(length * fps))
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        from fractions import Fraction
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1000))
        stream.width, stream.height, stream.pix_fmt = pixels.shape[1] * panels, pixels.shape[0], "yuv420p"
        stream.options = {"preset": "ultrafast", "crf": "10"}
        sound = None if silent else container.add_stream("aac", rate=16000, layout="mono")
        for index in range(n_frames):
            shown = pixels.copy()
            shown[:8, :8] = (index * 5 + seed) % 256
            if panels > 1:
                shown = np.concatenate([np.zeros_like(shown), shown, np.full_like(shown, 255)], axis=1)
            for packet in stream.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
        if sound is not None:
            with wave.open(str(audio)) as source:
                samples = np.frombuffer(source.readframes(source.getnframes()), "<i2")
            for start in range(0, len(samples), 1024):
                part = samples[None, start : start + 1024].copy()
                frame = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
                frame.rate, frame.pts = 16000, start
                for packet in sound.encode(frame):
                    container.mux(packet)
            for packet in sound.encode():
                container.mux(packet)
'''

SADTALKER = """
import os, shutil, sys, time
from argparse import ArgumentParser
import draw
parser = ArgumentParser()
parser.add_argument("--driven_audio")
parser.add_argument("--source_image")
parser.add_argument("--result_dir", default="./results")
parser.add_argument("--preprocess", default="crop", choices=["crop", "extcrop", "resize", "full", "extfull"])
args = parser.parse_args()
folder = os.path.join(args.result_dir, time.strftime("%Y_%m_%d_%H.%M.%S"))
os.makedirs(os.path.join(folder, "first_frame_dir"))
draw.write(os.path.join(folder, "portrait##speech.mp4"), args.source_image, args.driven_audio, fps=25, size=(256, 256))
shutil.move(os.path.join(folder, "portrait##speech.mp4"), folder + ".mp4")
shutil.rmtree(folder)
"""

DREAMTALK = """
import argparse, os
import draw
parser = argparse.ArgumentParser()
for name in ("wav_path", "image_path", "style_clip_path", "pose_path", "output_name"):
    parser.add_argument("--" + name)
parser.add_argument("--max_gen_len", type=int)
parser.add_argument("--cfg_scale", type=float)
args = parser.parse_args()
assert os.path.isfile(args.style_clip_path) and os.path.isfile(args.pose_path)
os.makedirs(f"tmp/{args.output_name}", exist_ok=True)
out = f"output_video/{args.output_name}.mp4"
draw.write(out, args.image_path, args.wav_path, fps=25, size=(256, 256))
"""

MAKEITTALK = """
import argparse, glob, os, pickle
from PIL import Image
import draw
parser = argparse.ArgumentParser()
parser.add_argument("--jpg")
args = parser.parse_args()
assert Image.open("examples/" + args.jpg).size == (256, 256)
dump = os.path.join("examples", "dump", "random_val_fl.pickle")
if os.path.exists(dump):
    os.remove(dump)
with open(dump, "wb") as stream:
    pickle.dump([], stream)
for sound in sorted(glob.glob("examples/*.wav")):
    name = os.path.basename(sound)[:-4]
    open("out.mp4", "wb").write(b"scratch")
    out = f"examples/{args.jpg.split('.')[0]}_pred_fls_{name}_audio_embed.mp4"
    draw.write(out, "examples/" + args.jpg, sound, fps=62.5, panels=3)
"""

DIFFUSED_HEADS = """
import os, sys
import draw
given = dict(item.split("=", 1) for item in sys.argv[1:])
assert set(given) == {"checkpoint", "encoder_checkpoint", "id_frame", "audio", "output"}, given
os.makedirs("outputs/2026-01-01/00-00-00")
draw.write(given["output"], given["id_frame"], given["audio"], fps=25)
"""

HALLO = """
import argparse, os
import draw
parser = argparse.ArgumentParser()
parser.add_argument("-c", "--config", default="configs/inference/default.yaml")
for name in ("source_image", "driving_audio"):
    parser.add_argument("--" + name)
parser.add_argument("--output", default=".cache/output.mp4")
args = parser.parse_args()
os.makedirs(".cache/audio_preprocess", exist_ok=True)
draw.write(args.output, args.source_image, args.driving_audio, fps=25)
"""

HALLO2 = """
import argparse, os
from pathlib import Path
import draw
parser = argparse.ArgumentParser()
parser.add_argument("-c", "--config")
for name in ("source_image", "driving_audio"):
    parser.add_argument("--" + name)
args = parser.parse_args()
assert os.path.isfile(args.config)
folder = Path("./output_long/debug") / Path(args.source_image).stem
for part in (1, 2):
    draw.write(folder / "seg_video" / f"seg_video-{part:06}.mp4", args.source_image, args.driving_audio, fps=25,
               seconds=draw.seconds_of(args.driving_audio) / 2)
draw.write(folder / "merge_video.mp4", args.source_image, args.driving_audio, fps=25)
"""

ECHOMIMIC = """
import argparse, time
from ruamel.yaml import YAML
import draw
parser = argparse.ArgumentParser()
parser.add_argument("--config")
parser.add_argument("-L", type=int, default=1200)
parser.add_argument("--seed", type=int, default=420)
args = parser.parse_args()
assert args.L > 1200  # else it stops after 50 s
cases = YAML(typ="safe").load(open(args.config))["test_cases"]
stamp, day = time.strftime("%H%M"), time.strftime("%Y%m%d")
for image, sounds in cases.items():
    for sound in sounds:
        stem = f"output/{day}/{stamp}--seed_{args.seed}-512x512/portrait_speech_512x512_2_{stamp}"
        draw.write(stem + ".mp4", image, sound, fps=24, silent=True, size=(512, 512), seed=args.seed)
        draw.write(stem + "_withaudio.mp4", image, sound, fps=24, size=(512, 512), seed=args.seed)
"""

ANIPORTRAIT = """
import argparse, time
from ruamel.yaml import YAML
import draw
parser = argparse.ArgumentParser()
parser.add_argument("--config")
parser.add_argument("-W", type=int)
parser.add_argument("-H", type=int)
parser.add_argument("-acc", "--accelerate", action="store_true")
parser.add_argument("--seed", type=int, default=42)
args = parser.parse_args()
for image, sounds in YAML(typ="safe").load(open(args.config))["test_cases"].items():
    for sound in sounds:
        stem = f"output/20260101/0000--seed_{args.seed}-{args.W}x{args.H}/portrait_speech_512x512_3_0000"
        draw.write(stem + "_noaudio.mp4", image, sound, fps=30, silent=True, size=(args.W, args.H), seed=args.seed)
        draw.write(stem + ".mp4", image, sound, fps=30, size=(args.W, args.H), seed=args.seed)
"""

V_EXPRESS = """
import argparse
import draw
parser = argparse.ArgumentParser()
for name in ("reference_image_path", "audio_path", "output_path", "retarget_strategy"):
    parser.add_argument("--" + name)
parser.add_argument("--num_inference_steps", type=int)
parser.add_argument("--seed", type=int)
args = parser.parse_args()
assert args.retarget_strategy == "fix_face"
draw.write(args.output_path, args.reference_image_path, args.audio_path, fps=30, size=(512, 512), seed=args.seed)
"""

SONIC = """
import argparse, os
import draw
parser = argparse.ArgumentParser()
for name in ("image_path", "audio_path", "output_path"):
    parser.add_argument(name)
args = parser.parse_args()
os.makedirs(os.path.dirname(args.output_path), exist_ok=True)
silent = args.output_path.replace(".mp4", "_noaudio.mp4")
draw.write(silent, args.image_path, args.audio_path, fps=25, silent=True)
draw.write(args.output_path, args.image_path, args.audio_path, fps=25)
os.remove(silent)
"""

LATENTSYNC = """
import argparse, os
import av
import draw
parser = argparse.ArgumentParser()
for name in ("unet_config_path", "inference_ckpt_path", "video_path", "audio_path", "video_out_path"):
    parser.add_argument("--" + name, required=True)
parser.add_argument("--inference_steps", type=int)
parser.add_argument("--guidance_scale", type=float)
parser.add_argument("--temp_dir", default="temp")
parser.add_argument("--seed", type=int)
parser.add_argument("--enable_deepcache", action="store_true")
args = parser.parse_args()
os.makedirs(args.temp_dir, exist_ok=True)
with av.open(args.video_path) as video:
    first = next(video.decode(video=0)).to_image()
first.save(os.path.join(args.temp_dir, "first.png"))
draw.write(args.video_out_path, os.path.join(args.temp_dir, "first.png"), args.audio_path, fps=25, seed=args.seed)
"""

MUSETALK = """
import argparse, os
import av
from ruamel.yaml import YAML
import draw
parser = argparse.ArgumentParser()
for name in ("inference_config", "result_dir", "unet_model_path", "unet_config", "version"):
    parser.add_argument("--" + name)
args = parser.parse_args()
for task in YAML(typ="safe").load(open(args.inference_config)).values():
    try:
        folder = os.path.join(args.result_dir, args.version)
        os.makedirs(folder, exist_ok=True)
        names = [os.path.basename(task[key]).split(".")[0] for key in ("video_path", "audio_path")]
        with av.open(task["video_path"]) as video:
            next(video.decode(video=0)).to_image().save(os.path.join(folder, "first.png"))
        temp = f"{folder}/temp_{names[0]}_{names[1]}.mp4"
        draw.write(temp, os.path.join(folder, "first.png"), task["audio_path"], fps=25, silent=True)
        draw.write(f"{folder}/{names[0]}_{names[1]}.mp4", os.path.join(folder, "first.png"), task["audio_path"], fps=25)
    except Exception as error:
        print("Error occurred during processing:", error)
"""

PROGRAMS: dict[str, tuple[str, str]] = {
    "sadtalker": ("inference.py", SADTALKER),
    "dreamtalk": ("inference_for_demo_video.py", DREAMTALK),
    "makeittalk": ("main_end2end.py", MAKEITTALK),
    "diffused-heads": ("sample.py", DIFFUSED_HEADS),
    "hallo": ("scripts/inference.py", HALLO),
    "hallo2": ("scripts/inference_long.py", HALLO2),
    "echomimic": ("infer_audio2vid.py", ECHOMIMIC),
    "aniportrait": ("scripts/audio2vid.py", ANIPORTRAIT),
    "v-express": ("inference.py", V_EXPRESS),
    "sonic": ("demo.py", SONIC),
    "latentsync": ("scripts/inference.py", LATENTSYNC),
    "musetalk": ("scripts/inference.py", MUSETALK),
}
"""Card -> where its script lies in the checkout, and the fake of it."""

EXTRA_FILES: dict[str, dict[str, str]] = {
    "dreamtalk": {
        "data/style_clip/3DMM/M030_front_neutral_level1_001.mat": "x",
        "data/pose/RichardShelby_front_neutral_level1_001.mat": "x",
        "output_video/from_an_earlier_run.mp4": "old",
    },
    "makeittalk": {
        "examples/other.wav": "old",
        "examples/dump/random_val_fl.pickle": "old",
        "examples/dump/emb.pickle": "x",
    },
    "hallo2": {"configs/inference/long.yaml": "save_path: ./output_long/debug/"},
}
"""Files that the checkout brings along, old results among them."""
