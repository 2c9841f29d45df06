"""`python -m benchmarks [NAME ...]`: measure, write a CSV for each benchmark, and print it as a table for the docs."""

from __future__ import annotations

import os
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks import (
    beam,
    board,
    decoding,
    encoder_block,
    gpu_step,
    growth,
    input_pipeline,
    long_attention,
    time_to_quality,
    tokenizing,
    train_epoch,
    train_memory,
    train_step,
)
from benchmarks.measure import RESULTS, markdown, save
from suite.errors import InputError

RUNS: dict[str, Callable[..., list[dict[str, Any]]]] = {
    "beam": beam.run,
    "board": board.run,
    "decoding": decoding.run,
    "encoder_block": encoder_block.run,
    "growth": growth.run,
    "input_pipeline": input_pipeline.run,
    "long_attention": long_attention.run,
    **time_to_quality.RUNS,
    "tokenizing": tokenizing.run,
    "gpu_step": gpu_step.run,
    "rnn_step": train_step.recurrent,
    "train_epoch": train_epoch.run,
    "train_memory": train_memory.run,
    "train_step": train_step.run,
}
SHOWN = {
    "beam": "beam sentences steps peer parameters first_call_seconds median_ms q1_ms q3_ms ratio paired_ratio "
    "processor_ms processor_ratio sentences_per_second",
    "board": "command rows contests models seeds metrics cpu_seconds cpu_low cpu_high peak_mib",
    "decoding": "batch prompt written peer parameters first_call_seconds prompt_ms median_ms q1_ms q3_ms ratio "
    "paired_ratio processor_ms processor_ratio tokens_per_second floor_ms floor_ratio float32_floor_ratio",
    "encoder_block": "batch length width masked training dropout peer parameters deviation median_ms q1_ms q3_ms ratio "
    "paired_ratio utilization",
    "growth": "axis what value seconds seconds_low seconds_high peak_mib time_exponent wanted_time_exponent "
    "memory_exponent wanted_memory_exponent",
    "input_pipeline": "task dataset examples steps fed_ms at_hand_ms waiting_percent waiting_q1 waiting_q3 "
    "processor_percent making_ms",
    "long_attention": "training length peer size deviation peak_mib memory_ratio median_ms q1_ms q3_ms ratio "
    "kib_per_token microseconds_per_token",
    **dict.fromkeys(
        time_to_quality.RUNS,
        "repeat peer parameters metric score wanted_score seconds cpu_seconds ratio wanted_ratio ok",
    ),
    "tokenizing": "pieces texts peer same learning_seconds median_ms q1_ms q3_ms ratio processor_ms processor_ratio "
    "texts_per_second",
    "gpu_step": "model batch length peer parameters median_ms q1_ms q3_ms ratio paired_ratio "
    "peak_teraflops_per_second utilization",
    "rnn_step": "cell batch length width depth peer parameters median_ms q1_ms q3_ms ratio paired_ratio "
    "steps_per_second utilization",
    "train_epoch": "data sentences peer parameters padded_to batches padding median_ms q1_ms q3_ms ratio paired_ratio "
    "tokens_per_second",
    "train_memory": "batch length width depth peer parameters peak_mib memory_ratio median_ms q1_ms q3_ms ratio",
    "train_step": "batch length width depth peer parameters median_ms q1_ms q3_ms ratio paired_ratio steps_per_second "
    "utilization",
}


class Backend(StrEnum):
    """What Keras runs on."""

    tensorflow = "tensorflow"
    jax = "jax"
    torch = "torch"


def run(
    names: Annotated[
        list[str] | None, typer.Argument(help=f"Some of {', '.join(RUNS)}; by default all but gpu_step.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Tiny shapes, to see that everything runs.")] = False,
    repeats: Annotated[int, typer.Option(min=1, help="Repeats of each peer, of which the median is reported.")] = 9,
    backend: Annotated[Backend, typer.Option(envvar="KERAS_BACKEND", help="What Keras runs on.")] = Backend.tensorflow,
    precision: Annotated[
        str, typer.Option(help="float32, bfloat16 or float16, of weights and features; int8 weights of decoding.")
    ] = "float32",
    threads: Annotated[int, typer.Option(min=1, help="Processors for each peer.")] = min(2, os.cpu_count() or 1),
    peer: Annotated[
        list[str] | None,
        typer.Option(help="Peers of encoder_block and of the steps, ours first; repeatable."),
    ] = None,
    activation: Annotated[str, typer.Option(help="relu or gelu, of encoder_block.")] = "relu",
    output: Annotated[Path, typer.Option(help="The folder for the CSVs.")] = RESULTS,
) -> None:
    """Measure the layers and runs beside their peers, and the board's commands."""
    for name in names or [name for name in RUNS if name != "gpu_step"]:  # which is for an accelerator
        if name not in RUNS:
            raise typer.BadParameter(f"expects some of {', '.join(RUNS)}. Received: {name}")
        options: dict[str, Any] = {}
        if name == "encoder_block":
            options = {"peers": peer or encoder_block.PEERS, "activation": activation}
        if name in ("gpu_step", "rnn_step", "train_epoch", "train_step"):
            options = {"peers": peer or ()}
        settings = {"backend": str(backend), "precision": precision, "repeats": repeats, "threads": threads}
        try:
            rows = RUNS[name](quick=quick, **settings, **options)
        except InputError as error:  # data that is not there
            raise typer.BadParameter(str(error)) from error
        path = output / (f"{name}.csv" if name in ("board", "tokenizing") else f"{name}-{backend}-{precision}.csv")
        frame = save(rows, path)
        typer.echo(f"{path}\n{markdown(frame[SHOWN[name].split()])}\n")


if __name__ == "__main__":
    typer.run(run)
