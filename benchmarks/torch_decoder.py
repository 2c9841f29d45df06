"""Greedy decoding by Hugging Face's transformers, on PyTorch."""

from __future__ import annotations

import os
import warnings

import numpy as np
import torch

from benchmarks.decoding import DecodingPeer, Size


class HuggingFaceDecoder(DecodingPeer):
    """`transformers.GPT2LMHeadModel.generate`, eager, with its key-value cache, quantized as PyTorch does it."""

    def __init__(self) -> None:
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
        self.place = "cuda" if torch.cuda.is_available() else "cpu"

    def device(self) -> str:
        return torch.cuda.get_device_name() if self.place == "cuda" else "cpu"

    def prepare(self, size: Size) -> tuple[int, float]:
        from transformers import GPT2Config, GPT2LMHeadModel

        config = GPT2Config(
            vocab_size=size.vocabulary,
            n_positions=size.positions,
            n_embd=size.width,
            n_layer=size.depth,
            n_head=size.heads,
            bos_token_id=0,
            eos_token_id=0,
        )
        self.model = GPT2LMHeadModel(config).eval().to(self.place, getattr(torch, size.features))
        parameters = sum(weight.numel() for weight in self.model.parameters())
        if size.precision == "int8":
            _linear(self.model)
            with warnings.catch_warnings():  # that it moves to a package of its own
                warnings.simplefilter("ignore")
                self.model = torch.ao.quantization.quantize_dynamic(self.model, {torch.nn.Linear}, dtype=torch.qint8)
        return parameters, self.start(size)

    def write(self, count: int) -> np.ndarray:
        prompts = torch.tensor(self.prompts, device=self.place)
        with torch.inference_mode():
            found = self.model.generate(
                prompts,
                attention_mask=torch.ones_like(prompts),
                max_new_tokens=count,
                min_new_tokens=count,
                do_sample=False,
                pad_token_id=0,
            )
        return found[:, self.size.prompt :].cpu().numpy()


def _linear(model: torch.nn.Module) -> None:
    """GPT-2's maps, whose weights are stored the other way round, as the linear layers that PyTorch quantizes."""
    from transformers.pytorch_utils import Conv1D

    for name, child in list(model.named_children()):
        if isinstance(child, Conv1D):
            layer = torch.nn.Linear(*child.weight.shape)
            layer.weight.data, layer.bias.data = child.weight.data.T.contiguous(), child.bias.data
            setattr(model, name, layer)
        else:
            _linear(child)
