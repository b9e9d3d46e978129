"""Fakes of the programs of 2025 and later, in the manner of ``external_fakes``."""

from __future__ import annotations

FLOAT = """
import argparse
import draw
parser = argparse.ArgumentParser()
for name in ("ref_path", "aud_path", "ckpt_path", "res_video_path"):
    parser.add_argument("--" + name, required=True)
parser.add_argument("--seed", type=int, default=15)
for name in ("a_cfg_scale", "e_cfg_scale"):
    parser.add_argument("--" + name, type=float)
parser.add_argument("--no_crop", action="store_true")
args = parser.parse_args()
assert args.no_crop
draw.write(args.res_video_path, args.ref_path, args.aud_path, fps=25, size=(512, 512), seed=args.seed)
"""

DITTO = """
import argparse
import draw
parser = argparse.ArgumentParser()
for name in ("data_root", "cfg_pkl", "audio_path", "source_path", "output_path"):
    parser.add_argument("--" + name, required=True)
args = parser.parse_args()
assert "pytorch" in args.data_root and "pytorch" in args.cfg_pkl
draw.write(args.output_path, args.source_path, args.audio_path, fps=25)
"""

HALLO3 = """
import argparse, os
from pathlib import Path
import draw
parser = argparse.ArgumentParser()
parser.add_argument("--base", nargs="*")
parser.add_argument("--seed", type=int)
parser.add_argument("--input-file")
parser.add_argument("--output-dir")
args = parser.parse_args()
assert len(args.base) == 2 and os.environ["WORLD_SIZE"] == "1"
for line in open(args.input_file):
    text, image, audio = line.strip().split("@@")
    assert os.path.exists(image), image
    assert os.path.exists(audio), audio
    os.makedirs(".cache/audio_preprocess", exist_ok=True)
    folder = Path(args.output_dir) / f"{Path(image).stem}-{Path(audio).stem}-seed_{args.seed}"
    draw.write(folder / "000000_with_audio.mp4", image, audio, fps=25, size=(480, 480), seed=args.seed)
"""

FANTASY_TALKING = """
import argparse, os
import draw
parser = argparse.ArgumentParser()
for name in ("image_path", "audio_path", "prompt", "output_dir"):
    parser.add_argument("--" + name, required=True)
for name in ("max_num_frames", "image_size", "fps", "seed"):
    parser.add_argument("--" + name, type=int)
for name in ("audio_scale", "prompt_cfg_scale", "audio_cfg_scale"):
    parser.add_argument("--" + name, type=float)
args = parser.parse_args()
seconds = draw.seconds_of(args.audio_path)
frames = min(int(args.fps * seconds // 4) * 4 + 5, args.max_num_frames)
size = (args.image_size, args.image_size)
length = min(frames / args.fps, seconds)
stem = f"{args.output_dir}/{{}}portrait_speech_20260101_000000.mp4"
draw.write(stem.format("tmp_"), args.image_path, args.audio_path, fps=args.fps, size=size, silent=True)
draw.write(stem.format(""), args.image_path, args.audio_path, fps=args.fps, size=size, seconds=length, seed=args.seed)
os.remove(stem.format("tmp_"))
"""

MULTITALK = """
import argparse, json, os
import draw
parser = argparse.ArgumentParser()
for name in ("ckpt_dir", "wav2vec_dir", "input_json", "mode", "save_file"):
    parser.add_argument("--" + name, required=True)
for name in ("infinitetalk_dir", "size"):
    parser.add_argument("--" + name)
parser.add_argument("--audio_save_dir", default="save_audio")
for name in ("sample_steps", "base_seed", "motion_frame"):
    parser.add_argument("--" + name, type=int)
parser.add_argument("--use_teacache", action="store_true")
if "infinitetalk" in __file__:
    parser.add_argument("--max_frame_num", type=int, default=1000)
args = parser.parse_args()
assert args.mode == "streaming"
assert "multitalk" in __file__ or args.max_frame_num > 1000  # else it stops after 40 s
data = json.load(open(args.input_json))
image, audio = data["cond_image" if "multitalk" in __file__ else "cond_video"], data["cond_audio"]["person1"]
assert data["prompt"]
os.makedirs(os.path.join(args.audio_save_dir, "portrait"), exist_ok=True)
open(os.path.join(args.audio_save_dir, "portrait", "1.pt"), "wb").write(b"embedding")
draw.write(args.save_file + "-temp.mp4", image, audio, fps=25, silent=True)
draw.write(args.save_file + ".mp4", image, audio, fps=25, seed=args.base_seed)
os.remove(args.save_file + "-temp.mp4")
"""

OMNIAVATAR = """
import argparse, os
import draw
parser = argparse.ArgumentParser()
parser.add_argument("--config", required=True)
parser.add_argument("--input_file", required=True)
parser.add_argument("-hp", "--hparams", default="")
args = parser.parse_args()
values = dict(pair.split("=") for pair in args.hparams.split(","))
assert values["silence_duration_s"] == "0" and os.path.isfile(args.config)
folder = f"demo_out/OmniAvatar-14B/res_emo_bench_input_seed{values['seed']}_step50_cfg4.5_ovlp13_30000"
os.makedirs(folder + "/audio")
for index, line in enumerate(open(args.input_file)):
    prompt, image, audio = line.strip().split("@@")
    length = draw.seconds_of(audio) + 1 / 25
    draw.write(f"{folder}/result_{index:03d}_wav.mp4", image, audio, fps=25, seconds=length, seed=int(values["seed"]))
"""

STABLEAVATAR = """
import argparse
import draw
parser = argparse.ArgumentParser()
for name in (
    "config_path", "pretrained_model_name_or_path", "transformer_path", "pretrained_wav2vec_path",
    "validation_reference_path", "validation_driven_audio_path", "output_dir", "validation_prompts", "GPU_memory_mode",
):
    parser.add_argument("--" + name, required=True)
for name in (
    "seed", "ulysses_degree", "ring_degree", "motion_frame", "sample_steps", "width", "height",
    "overlap_window_length", "clip_sample_n_frames",
):
    parser.add_argument("--" + name, type=int)
for name in ("sample_text_guide_scale", "sample_audio_guide_scale"):
    parser.add_argument("--" + name, type=float)
args = parser.parse_args()
draw.write(
    args.output_dir + "/video_without_audio.mp4", args.validation_reference_path, args.validation_driven_audio_path,
    fps=25, size=(args.width, args.height), silent=True, seed=args.seed,
)
"""

ECHOMIMIC_V3 = """
import argparse, os
import draw
parser = argparse.ArgumentParser()
for name in (
    "image_path", "audio_path", "prompt", "config_path", "model_name", "transformer_path", "save_path",
    "wav2vec_model_dir", "sampler_name", "weight_dtype", "add_prompt", "negative_prompt",
):
    parser.add_argument("--" + name, required=True)
for name in (
    "num_inference_steps", "ckpt_idx", "video_length", "neg_steps", "seed", "num_skip_start_steps", "riflex_k",
    "ulysses_degree", "ring_degree", "fps",
):
    parser.add_argument("--" + name, type=int)
for name in ("guidance_scale", "audio_guidance_scale", "audio_scale", "neg_scale", "teacache_threshold", "shift"):
    parser.add_argument("--" + name, type=float)
parser.add_argument("--sample_size", type=int, nargs=2)
parser.add_argument("--enable_teacache", action="store_true")
args = parser.parse_args()
frames = min(int(draw.seconds_of(args.audio_path) * args.fps), args.video_length)
frames = (frames - 1) // 4 * 4 + 1
temporary = os.path.join(args.save_path, "portrait_tmp.mp4")
draw.write(temporary, args.image_path, args.audio_path, fps=args.fps, silent=True)
draw.write(
    os.path.join(args.save_path, "portrait_output.mp4"), args.image_path, args.audio_path, fps=args.fps,
    seconds=frames / args.fps, seed=args.seed,
)
os.remove(temporary)
"""

WAN_S2V = """
import argparse
import draw
parser = argparse.ArgumentParser()
for name in ("task", "size", "ckpt_dir", "offload_model", "prompt", "image", "audio", "save_file"):
    parser.add_argument("--" + name, required=True)
parser.add_argument("--base_seed", type=int)
parser.add_argument("--convert_model_dtype", action="store_true")
args = parser.parse_args()
assert args.task == "s2v-14B" and args.size == "1024*704"
draw.write(args.save_file, args.image, args.audio, fps=16, seed=args.base_seed)
"""

LIVE_AVATAR = """
import argparse
import draw
parser = argparse.ArgumentParser()
for name in (
    "task", "size", "training_config", "offload_model", "prompt", "image", "audio", "lora_path_dmd", "sample_solver",
    "ckpt_dir", "save_file",
):
    parser.add_argument("--" + name, required=True)
for name in ("ulysses_size", "base_seed", "infer_frames", "sample_steps", "num_clip", "num_gpus_dit"):
    parser.add_argument("--" + name, type=int)
parser.add_argument("--sample_guide_scale", type=float)
for name in ("convert_model_dtype", "load_lora", "single_gpu", "fp8"):
    parser.add_argument("--" + name, action="store_true")
args = parser.parse_args()
assert args.single_gpu and args.load_lora
draw.write(args.save_file, args.image, args.audio, fps=25, seed=args.base_seed)
"""

HUNYUANVIDEO_AVATAR = """
import argparse, csv, os
import draw
parser = argparse.ArgumentParser()
for name in ("input", "ckpt", "save-path"):
    parser.add_argument("--" + name, required=True)
for name in ("sample-n-frames", "seed", "image-size", "infer-steps", "use-deepcache"):
    parser.add_argument("--" + name, type=int)
for name in ("cfg-scale", "flow-shift-eval-video"):
    parser.add_argument("--" + name, type=float)
for name in ("use-fp8", "infer-min"):
    parser.add_argument("--" + name, action="store_true")
args = parser.parse_args()
assert os.environ["MODEL_BASE"] == "./weights" and os.environ["DISABLE_SP"] == "1"
for row in csv.DictReader(open(args.input)):
    stem = f"{args.save_path}/{row['videoid']}"
    fps = float(row["fps"])
    draw.write(stem + ".mp4", row["image"], row["audio"], fps=fps, silent=True, size=(704, 704))
    draw.write(stem + "_audio.mp4", row["image"], row["audio"], fps=fps, size=(704, 704), seed=args.seed)
    os.remove(stem + ".mp4")
"""

LAUNCHER = """
import os, runpy, sys
assert sys.argv[1:3] == ["--standalone", "--nproc_per_node=1"], sys.argv
sys.argv = sys.argv[3:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
runpy.run_path(sys.argv[0], run_name="__main__")
"""

_LAUNCHED = {"torch/__init__.py": "", "torch/distributed/__init__.py": "", "torch/distributed/run.py": LAUNCHER}

PROGRAMS: dict[str, tuple[str, str]] = {
    "float": ("generate.py", FLOAT),
    "ditto": ("inference.py", DITTO),
    "hallo3": ("hallo3/sample_video.py", HALLO3),
    "fantasy-talking": ("infer.py", FANTASY_TALKING),
    "multitalk": ("generate_multitalk.py", MULTITALK),
    "infinitetalk": ("generate_infinitetalk.py", MULTITALK),
    "omniavatar": ("scripts/inference.py", OMNIAVATAR),
    "stableavatar": ("inference.py", STABLEAVATAR),
    "echomimic-v3": ("infer_flash.py", ECHOMIMIC_V3),
    "wan-s2v": ("generate.py", WAN_S2V),
    "live-avatar": ("minimal_inference/s2v_streaming_interact.py", LIVE_AVATAR),
    "hunyuanvideo-avatar": ("hymm_sp/sample_gpu_poor.py", HUNYUANVIDEO_AVATAR),
}
"""Card -> where its script lies in the checkout, and the fake of it."""

EXTRA_FILES: dict[str, dict[str, str]] = {
    "multitalk": {"save_audio/old/1.pt": "old"},
    "omniavatar": {
        "configs/inference.yaml": "seed: 42",
        "demo_out/OmniAvatar-14B/res_old/result_000_wav.mp4": "old",
        **_LAUNCHED,
    },
    "live-avatar": _LAUNCHED,
}
"""Files that the checkout brings along, old results among them."""
