"""Beam search by Hugging Face's transformers, on PyTorch."""

from __future__ import annotations

import os

import torch

from benchmarks.beam import START, Batch, BeamPeer, Size


class HuggingFaceBeam(BeamPeer):
    """`transformers.MarianMTModel.generate`, eager, with its key-value cache."""

    def __init__(self) -> None:
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
        self.place = "cuda" if torch.cuda.is_available() else "cpu"

    def device(self) -> str:
        return torch.cuda.get_device_name() if self.place == "cuda" else "cpu"

    def make(self, size: Size) -> int:
        from transformers import MarianConfig, MarianMTModel

        config = MarianConfig(
            vocab_size=size.vocabulary,
            d_model=size.width,
            encoder_layers=size.depth,
            decoder_layers=size.depth,
            encoder_attention_heads=size.heads,
            decoder_attention_heads=size.heads,
            encoder_ffn_dim=size.hidden,
            decoder_ffn_dim=size.hidden,
            activation_function="relu",
            scale_embedding=True,
            max_position_embeddings=256,
            pad_token_id=0,
            eos_token_id=0,
            forced_eos_token_id=None,
            decoder_start_token_id=START,
        )
        self.model = MarianMTModel(config).eval().to(self.place, getattr(torch, size.precision))
        return sum(weight.numel() for weight in self.model.parameters() if weight.requires_grad)

    def translate(self, batch: Batch) -> list[int]:
        source = torch.tensor(batch.source, dtype=torch.long, device=self.place)
        with torch.inference_mode():
            found = self.model.generate(
                source,
                attention_mask=(source != 0).long(),
                num_beams=self.size.beam,
                max_new_tokens=batch.tokens,
                min_new_tokens=batch.tokens,
                do_sample=False,
            )
        return [found.shape[1] - 1] * len(found)
