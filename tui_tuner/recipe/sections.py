"""The sections of a recipe. Each field is declared once, with label, help and bounds.

From these declarations come the TOML check, `--set section.field=value`, `tuner schema`, docs/recipe.md and the form
of the app. Nothing here reads a file or decides an "auto".
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Auto = Literal["auto"]
TrackerName = Literal["tensorboard", "trackio", "wandb", "mlflow"]
RowShape = Literal["messages", "sharegpt", "alpaca", "prompt_completion", "text", "preference", "tree"]


def option(default: Any, label: str, help_text: str, **bounds: Any) -> Any:
    """A recipe field: pydantic's `Field` with the label and the help that every front end shows."""
    return Field(default, title=label, description=help_text, **bounds)


PositiveInt = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0.0, lt=1.0)]


class Section(BaseModel):
    """Strict and immutable: unknown fields, wrong types, NaN and infinities are problems."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)


class ModelSection(Section):
    """Which base model is fine-tuned, and in which precision it is held."""

    source: str = option(
        ...,
        "Model",
        "A folder with config.json and safetensors, a model in the Hugging Face cache, or a hub id.",
        min_length=1,
        examples=["HuggingFaceTB/SmolLM2-135M-Instruct"],
    )
    revision: str | None = option(
        None, "Revision", "Branch, tag or commit of a hub model. Pins what is loaded.", examples=["main"]
    )
    adapter: str | None = option(
        None,
        "Continue from",
        "An adapter folder to go on training. Its rank, targets and trained modules are inherited.",
        examples=["runs/support-v1/adapter"],
    )
    quantization: Literal["none", "fp8", "nf4"] | Auto = option(
        "auto",
        "Quantization",
        'How the frozen base is held: "none" is 16 or 32 bit, "nf4" is 4 bit with double quantization, "fp8" is 8 bit '
        "and multiplies in 8 bit, which is faster on GPUs from Ada and Hopper on and less exact; it is never chosen by "
        "itself.",
        examples=["nf4"],
    )
    dtype: Literal["bfloat16", "float32"] | Auto = option(
        "auto",
        "Compute type",
        "Type of activations and of unquantised weights: bfloat16 on a GPU, float32 on a CPU.",
        examples=["bfloat16"],
    )
    name_mapping: Literal["off"] | Auto = option(
        "auto",
        "Name mapping",
        "Whether a hub id may be replaced by its 16-bit or pre-quantised twin. The plan shows each decision; "
        '"off" loads exactly what was typed.',
        examples=["off"],
    )
    remote_code: bool = option(
        False,
        "Run remote code",
        "Whether Python files that came with the model may run. Only for a model whose code you have read.",
    )


class AdapterSection(Section):
    """What is trained: LoRA matrices and whole modules, or everything."""

    method: Literal["lora", "full"] = option(
        "lora", "Method", '"lora" trains low-rank adapters, "full" trains every weight.'
    )
    rank: int = option(16, "Rank", "Size of the update of each target module.", ge=1, le=1024)
    alpha: float = option(
        32.0, "Alpha", "Strength of the update: it is scaled by alpha / rank. Held fixed while the rank moves.", gt=0
    )
    dropout: float = option(
        0.0, "Dropout", "Share of the adapter's inputs that is dropped while training.", ge=0.0, lt=1.0
    )
    variant: Literal["lora", "rslora", "dora", "rslora+dora"] = option(
        "lora",
        "Variant",
        '"rslora" scales by alpha / sqrt(rank), "dora" trains the magnitude of each output column as well.',
    )
    targets: Auto | tuple[str, ...] = option(
        "auto",
        "Target modules",
        'Names of linear modules that get an adapter, such as "q_proj". "auto" takes all linear modules of each layer.',
        examples=[["q_proj", "v_proj"]],
    )
    layers: Literal["all"] | tuple[Annotated[int, Field(ge=0)], ...] = option(
        "all", "Layers", "Numbers of the decoder layers that get adapters, from 0.", examples=[[0, 1, 2, 3]]
    )
    modules_to_save: tuple[str, ...] = option(
        (),
        "Modules to save",
        'Modules trained in full beside the adapters, such as "embed_tokens", "lm_head" or "norm".',
        examples=[["embed_tokens", "lm_head"]],
    )

    @model_validator(mode="after")
    def _targets_are_named(self) -> Self:
        if self.targets == ():
            raise ValueError('targets is an empty list; name at least one module or write targets = "auto"')
        return self


class DataSource(Section):
    """One file, folder or hub data set."""

    path: str = option(
        ...,
        "Path",
        "A .jsonl, .json, .csv, .parquet or .txt file (or its .gz), a folder saved by `datasets`, or a hub id.",
        min_length=1,
        examples=["train.jsonl"],
    )
    shape: RowShape | Auto = option(
        "auto", "Shape", "What a row looks like. The plan shows what was detected.", examples=["prompt_completion"]
    )
    columns: dict[str, str] = option(
        {},
        "Columns",
        'Which of your columns stands for which field: {prompt = "question", completion = "answer"}. Fields: messages, '
        "prompt, completion, system, instruction, input, output, text, chosen, rejected, tools.",
        examples=[{"prompt": "question", "completion": "answer"}],
    )
    weight: float = option(
        1.0, "Weight", "How often each row is seen per epoch: 2 is twice, 0.5 is a new half each epoch.", gt=0, le=1000
    )
    split: str = option("train", "Split", "Which split of a saved or hub data set is read.")


class DataSection(Section):
    """The rows, how they are rendered, and which are held out."""

    sources: tuple[DataSource, ...] = option(
        ..., "Sources", "The training data.", min_length=1, examples=[[{"path": "train.jsonl"}]]
    )
    evaluation_sources: tuple[DataSource, ...] = option(
        (),
        "Held-out sources",
        "Data to evaluate on instead of a split of the training data.",
        examples=[[{"path": "test.jsonl"}]],
    )
    evaluation_fraction: Annotated[float, Field(ge=0.0, lt=1.0)] | Auto = option(
        "auto",
        "Held-out share",
        "Share of the rows that is kept for evaluation: 5 %, at least 1 and at most 200 rows, when auto.",
        examples=[0.02],
    )
    chat_template: str = option(
        "auto",
        "Chat template",
        'The model\'s own ("auto"), a .jinja file, or a built-in: "plain" needs no special tokens and suits base '
        'models, "chatml" needs its own.',
        examples=["plain"],
    )
    max_length: Annotated[int, Field(ge=8)] | Auto = option(
        "auto",
        "Max length",
        "Tokens of the longest sequence. Auto covers 99 % of the rows within the model's context.",
        examples=[2048],
    )
    over_length: Literal["keep_turns", "drop", "cut"] = option(
        "keep_turns",
        "Over-long rows",
        'What happens to a conversation above the max length: "keep_turns" drops its oldest turns until the rest fits, '
        'and leaves it out where its last exchange does not fit; "drop" leaves it out; "cut" cuts off its end, also '
        "within an answer. Counts are always shown; plain text is split.",
    )
    packing: bool | Auto = option(
        "auto",
        "Packing",
        "Whether several rows share one sequence. Attention and positions stay inside each row.",
        examples=[True],
    )
    on_bad_row: Literal["refuse", "drop"] = option(
        "refuse",
        "Bad rows",
        "What happens to a row that cannot be used. Dropped rows are counted and listed with file, line and reason.",
    )
    on_disagreement: Literal["refuse", "drop", "keep"] = option(
        "refuse",
        "Disagreements",
        "What happens to a row where the two methods that derive labels disagree: refuse to train, drop the row, or "
        "keep the labels of the first method.",
    )
    certificate: str | None = option(
        None,
        "Certificate",
        "A certificate.json of labels that were looked at. Training refuses labels that differ, and says what changed.",
        examples=["runs/support-v1/certificate.json"],
    )
    shuffle: bool = option(True, "Shuffle", "Whether rows are drawn in a new random order each epoch.")
    seed: int = option(3407, "Data seed", "Seed of the held-out split and of the order of rows.", ge=0, le=2**32 - 1)


class ObjectiveSection(Section):
    """Which tokens are learned."""

    kind: Literal["sft"] = option("sft", "Objective", "Supervised fine-tuning: cross entropy on the trained tokens.")
    train_on: Literal["assistant", "last_assistant", "everything"] = option(
        "assistant",
        "Train on",
        "All assistant turns, the last one only, or every token. Each trained turn includes its end-of-turn token.",
    )


class OptimizerSection(Section):
    """How weights move."""

    name: Literal["adamw", "adamw_8bit", "paged_adamw", "paged_adamw_8bit"] = option(
        "adamw",
        "Optimizer",
        "8-bit states take a quarter of the memory, paged states may move to host memory. Both need a GPU.",
    )
    learning_rate: Rate | Auto = option(
        "auto", "Learning rate", "Of the adapter: 2e-4 for LoRA, 2e-5 for full fine-tuning when auto.", examples=[1e-4]
    )
    embedding_learning_rate: Rate | Auto = option(
        "auto",
        "Embedding learning rate",
        "Of trained embeddings and head: a tenth of the learning rate when auto.",
        examples=[2e-5],
    )
    norm_learning_rate: Rate | Auto = option(
        "auto", "Norm learning rate", "Of trained norms and other whole modules.", examples=[1e-4]
    )
    lora_plus_ratio: float = option(
        1.0, "LoRA+ ratio", "Learning rate of the B matrices over that of the A matrices.", ge=1.0, le=256.0
    )
    weight_decay: float = option(
        0.01,
        "Weight decay",
        "Pull of the weights towards zero. Norms, biases and magnitudes are left out.",
        ge=0.0,
        lt=1.0,
    )
    beta1: float = option(0.9, "Beta 1", "Decay of the gradient's running mean.", ge=0.0, lt=1.0)
    beta2: float = option(0.999, "Beta 2", "Decay of the squared gradient's running mean.", ge=0.0, lt=1.0)
    epsilon: float = option(1e-8, "Epsilon", "Floor of the denominator.", gt=0.0, lt=1e-2)
    schedule: Literal["linear", "cosine", "constant"] = option(
        "linear",
        "Schedule",
        "How the learning rate falls after warm-up: to zero in a line or a half cosine, or not at all.",
    )
    warmup_steps: Annotated[int, Field(ge=0)] | Auto = option(
        "auto",
        "Warm-up steps",
        "Steps over which the learning rate rises: 5 % of all, at least 5 where there are 50 or more, when auto.",
        examples=[10],
    )
    max_grad_norm: float = option(
        1.0, "Max grad norm", "Gradients are scaled down to this norm. 0 turns clipping off.", ge=0.0
    )


class TrainingSection(Section):
    """How long, how much at once, and when to look."""

    epochs: Annotated[float, Field(gt=0, le=1000)] | Auto = option(
        "auto",
        "Epochs",
        "Passes over the data: 1 above 10,000 rows, otherwise 3, when auto and no max_steps is given.",
        examples=[3],
    )
    max_steps: PositiveInt | None = option(None, "Max steps", "Optimizer steps; replaces epochs.", examples=[40])
    micro_batch_size: PositiveInt | Auto = option("auto", "Micro-batch", "Sequences in one forward pass.", examples=[4])
    gradient_accumulation: PositiveInt | Auto = option(
        "auto", "Gradient accumulation", "Micro-batches in one optimizer step.", examples=[4]
    )
    tokens_per_step: PositiveInt | Auto = option(
        "auto",
        "Tokens per step",
        "Aim for this many tokens in one optimizer step; sets the gradient accumulation.",
        examples=[16384],
    )
    seed: int = option(3407, "Seed", "Seed of adapter initialisation and dropout.", ge=0, le=2**32 - 1)
    evaluate_every: PositiveInt | Auto = option(
        "auto", "Evaluate every", "Steps between evaluations: a tenth of all steps when auto.", examples=[20]
    )
    save_every: PositiveInt | Auto = option(
        "auto", "Save every", "Steps between checkpoints: with each evaluation when auto.", examples=[20]
    )
    keep_checkpoints: PositiveInt = option(
        2, "Keep checkpoints", "How many of the last checkpoints are kept, beside the best one."
    )
    sample_prompts: tuple[str, ...] | Auto = option(
        "auto",
        "Sample prompts",
        "Prompts answered at step 0 and at each evaluation: the first held-out rows when auto.",
        examples=[["What is a black hole?"]],
    )
    sample_tokens: int = option(64, "Sample tokens", "Longest sample, in tokens.", ge=1, le=4096)
    exact_match_rows: int = option(
        0,
        "Exact-match rows",
        "Held-out rows answered greedily and compared word for word at the start and at the end.",
        ge=0,
        le=10000,
        examples=[100],
    )

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if self.max_steps is not None and self.epochs != "auto":
            raise ValueError("epochs and max_steps are both set; keep one")
        if self.gradient_accumulation != "auto" and self.tokens_per_step != "auto":
            raise ValueError("gradient_accumulation and tokens_per_step are both set; keep one")
        return self


class AccelerationSection(Section):
    """Where and how fast; never what is computed."""

    device: Literal["cpu", "cuda"] | Auto = option(
        "auto", "Device", "The first CUDA GPU where there is one, when auto.", examples=["cpu"]
    )
    threads: PositiveInt | Auto = option(
        "auto",
        "Threads",
        "Processor threads that compute on a CPU: one for a model under 10 M parameters, else all.",
        examples=[4],
    )
    kernels: Literal["off"] | Auto = option(
        "auto", "Kernels", 'Own loss and layers for known families; "off" runs the model\'s own code.', examples=["off"]
    )
    recompute: Literal["off", "selective", "layers", "offload"] | Auto = option(
        "auto",
        "Recompute",
        "Which layers' activations are computed again in the backward pass to save memory: none, as many as must be, "
        'all, or all with their inputs waiting in host memory. A model without layers of our own knows "off" and all.',
        examples=["layers"],
    )
    vram: Annotated[float, Field(gt=0)] | Auto = option(
        "auto",
        "VRAM budget",
        "GiB of GPU memory the plan may use: what is free when auto. A 4-bit base whose run takes less than a budget "
        "holds some of its weights in 16 bits too, which is faster.",
        examples=[24],
    )


class ExportSection(Section):
    """What the finished adapter folder holds."""

    base_name: str | Auto = option(
        "auto",
        "Base name",
        "What the adapter names as its base model: the hub id, or the folder that it was trained on, when auto.",
        examples=["HuggingFaceTB/SmolLM2-135M-Instruct"],
    )


class OutputSection(Section):
    """Where runs are kept."""

    folder: str = option("runs", "Runs folder", "Folder in which each run gets a folder of its own.", min_length=1)
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] | Auto = option(
        "auto", "Run name", "Name of this run's folder: time and model when auto.", examples=["support-v1"]
    )
    trackers: tuple[TrackerName, ...] = option(
        (),
        "Trackers",
        'Programs that draw the curves elsewhere. "tensorboard" writes files into the run\'s folder; "trackio", '
        '"wandb" and "mlflow" need their package. Nothing is sent anywhere unless one is named.',
        examples=[["tensorboard"]],
    )
    project: str = option("tuner", "Project", "Under which name trackers file the run.", min_length=1, max_length=128)


class Recipe(Section):
    """Everything a run needs to know, before any "auto" is decided."""

    model: ModelSection = option(..., "Model", "The base model.")
    adapter: AdapterSection = option(AdapterSection(), "Adapter", "What is trained.")
    data: DataSection = option(..., "Data", "What it learns from.")
    objective: ObjectiveSection = option(ObjectiveSection(), "Objective", "Which tokens are learned.")
    optimizer: OptimizerSection = option(OptimizerSection(), "Optimizer", "How weights move.")
    training: TrainingSection = option(TrainingSection(), "Training", "How long and how much at once.")
    acceleration: AccelerationSection = option(AccelerationSection(), "Acceleration", "Where and how fast.")
    export: ExportSection = option(ExportSection(), "Export", "What the result holds.")
    output: OutputSection = option(OutputSection(), "Output", "Where runs are kept.")
