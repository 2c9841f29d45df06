"""Greedy decoding by Hugging Face's transformers, on PyTorch."""

from __future__ import annotations

import os
import time

import numpy as np
import torch

from benchmarks.decoding import Size


class HuggingFaceDecoder:
    """`transformers.GPT2LMHeadModel.generate`, eager, with its key-value cache."""

    def __init__(self) -> None:
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
        self.place = "cuda" if torch.cuda.is_available() else "cpu"

    def device(self) -> str:
        """The accelerator's name, or "cpu"."""
        return torch.cuda.get_device_name() if self.place == "cuda" else "cpu"

    def prepare(self, size: Size) -> tuple[int, float]:
        """Make the model and decode once. The number of weights, and the seconds of that call."""
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
        model = GPT2LMHeadModel(config).eval().to(self.place, getattr(torch, size.precision))
        prompts = np.random.default_rng(0).integers(1, size.vocabulary, (size.batch, size.prompt))
        self.size, self.model = size, model
        self.prompts = torch.tensor(prompts, device=self.place)
        self.processor: list[float] = []
        first = self.seconds()
        self.processor.clear()
        return sum(weight.numel() for weight in model.parameters()), first

    def seconds(self) -> float:
        """Of one batch of texts, whole."""
        start, used, written = time.perf_counter(), time.process_time(), self.size.written
        with torch.inference_mode():
            found = self.model.generate(
                self.prompts,
                attention_mask=torch.ones_like(self.prompts),
                max_new_tokens=written,
                min_new_tokens=written,
                do_sample=False,
                pad_token_id=0,
            )
        found = found.cpu()
        seconds = time.perf_counter() - start
        self.processor.append(time.process_time() - used)
        if found.shape != (self.size.batch, self.size.prompt + written):
            raise RuntimeError(f"expected {written} tokens a row, and {tuple(found.shape)} came with the prompt")
        return seconds

    def processor_seconds(self) -> list[float]:
        """Of all its threads, in each call of `seconds` since it was prepared."""
        return self.processor
