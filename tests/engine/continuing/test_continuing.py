"""Going on from an adapter: everything of it is inherited, trained again, and shown before the first step."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.engine.tiny_runs import Done, folded, train
from tests.tiny import write_tiny_model
from tui_tuner.errors import AdapterError
from tui_tuner.events import AdapterAudited, StepFinished, WeightsChecked
from tui_tuner.planning.weight_hashes import hash_in_full

WHOLE = 'adapter.modules_to_save=["embed_tokens","lm_head"]'
HELD_OUT = "data.evaluation_fraction=0.25"
WEIGHTS = "adapter_model.safetensors"


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """A run that trained LoRA, embeddings and head, with rates and a dropout of its own."""
    return train(
        tmp_path_factory.mktemp("first"), WHOLE, HELD_OUT, "training.max_steps=4", "adapter.variant=rslora",
        "adapter.dropout=0.1", "optimizer.embedding_learning_rate=0.003",
    )  # fmt: skip


def go_on(first: Done, *overrides: str, adapter: Path | None = None, model: Path | None = None) -> Done:
    """A second run in the folder of the first one."""
    place = f"model.adapter={adapter or first.folder / 'adapter'}"
    name = f"output.name=run{sum(1 for _ in first.folder.parent.iterdir())}"
    return train(first.folder.parents[1], place, name, *overrides, model=model)


def copy_of(first: Done, folder: Path, *, with_manifest: bool = True) -> Path:
    folder.mkdir()
    for file in (first.folder / "adapter").iterdir():
        if with_manifest or file.name != "manifest.json":
            (folder / file.name).write_bytes(file.read_bytes())
    return folder


def test_everything_is_trained_again_and_shown_before_the_first_step(first: Done) -> None:
    second = go_on(first, HELD_OUT)
    (audited,) = second.of(AdapterAudited)
    assert {one.name: (one.expected, one.trainable) for one in audited.groups} == {
        "lora": (3712, 3712), "embedding": (8448, 8448), "head": (8448, 8448),
    }  # fmt: skip
    assert (audited.missing, audited.unmatched, audited.problem) == ((), (), "")
    first_step = next(place for place, one in enumerate(second.events) if isinstance(one, StepFinished))
    assert second.events.index(audited) < first_step


def test_the_loss_goes_on_where_the_first_run_ended(first: Done) -> None:
    (audited,) = go_on(first, HELD_OUT).of(AdapterAudited)
    assert audited.is_same_data
    assert audited.base_confirmed
    assert audited.loss_after == pytest.approx(first.eval_losses[-1], rel=1e-5)
    assert audited.loss_logged == first.eval_losses[-1]
    assert audited.loss_before == pytest.approx(first.eval_losses[0], rel=1e-5)


def test_rates_variant_and_dropout_are_inherited(first: Done) -> None:
    plan = folded(go_on(first, "optimizer.learning_rate=0.02").events).plan
    assert plan is not None
    assert plan.learning_rates.embedding == 0.003
    assert (plan.adapter.use_rslora, plan.adapter.dropout, plan.adapter.rank) == (True, 0.1, 4)
    reasons = {one.field: one.reason for one in plan.decisions}
    assert reasons["optimizer.embedding_learning_rate"] == "as in the run that made the adapter"
    assert reasons["optimizer.learning_rate"] == "for this run; the run that made the adapter had 0.01"
    assert plan.recipe.data.chat_template == "auto"  # the adapter's template is the model's own


def test_a_template_of_its_own_is_inherited_and_kept_in_the_run(first: Done, tmp_path: Path) -> None:
    adapter = copy_of(first, tmp_path / "own", with_manifest=False)
    template = adapter / "chat_template.jinja"
    template.write_text(template.read_text().replace("<|im_start|>", "<|im_start|> "))
    second = go_on(first, adapter=adapter)
    plan = folded(second.events).plan
    assert plan is not None
    assert "as in the run that made the adapter" in {one.reason for one in plan.decisions if "template" in one.field}
    assert (second.folder / "chat_template.jinja").read_text() == template.read_text()
    assert f"{second.folder}/chat_template.jinja" in (second.folder / "recipe.toml").read_text()


def test_embeddings_and_head_move_in_the_second_run(first: Done) -> None:
    before, after = first.adapter, go_on(first).adapter
    assert all(not torch.equal(before[name], after[name]) for name in before)


def test_foreign_names_without_a_manifest_are_gone_on_with(first: Done, tmp_path: Path) -> None:
    adapter = copy_of(first, tmp_path / "foreign", with_manifest=False)
    tensors = {
        name.removeprefix("base_model.model.")
        .replace("lora_A.weight", "lora_A.default.weight")
        .replace("lm_head.weight", "lm_head.modules_to_save.default.weight")
        .replace("embed_tokens.weight", "embed_tokens.base_layer.weight"): tensor.bfloat16()
        for name, tensor in first.adapter.items()
    }  # fmt: skip
    save_file({**tensors, "lm_head.original_module.weight": torch.zeros(264, 32)}, adapter / WEIGHTS)
    (audited,) = go_on(first, HELD_OUT, adapter=adapter).of(AdapterAudited)
    assert sum(one.trainable for one in audited.groups) == 20_608
    assert audited.loss_after == pytest.approx(first.eval_losses[-1], rel=0.02)


def test_another_base_of_the_same_shape_is_refused_by_its_fingerprint(first: Done, tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="is not that model"):
        go_on(first, model=other_base(tmp_path / "other"))


def test_another_base_of_the_same_shape_is_refused_by_the_loss(first: Done, tmp_path: Path) -> None:
    adapter = copy_of(first, tmp_path / "foreign", with_manifest=False)
    tensors = {name: tensor * 80 for name, tensor in first.adapter.items()}
    save_file(tensors, adapter / WEIGHTS)
    with pytest.raises(AdapterError, match="as it does on another base of the same shape"):
        go_on(first, adapter=adapter, model=other_base(tmp_path / "other"))


def test_a_flipped_bit_is_refused(first: Done, tmp_path: Path) -> None:
    adapter = copy_of(first, tmp_path / "flipped")
    content = bytearray((adapter / WEIGHTS).read_bytes())
    content[-100] ^= 1
    (adapter / WEIGHTS).write_bytes(content)
    with pytest.raises(AdapterError, match=f"{WEIGHTS} is not what was saved: its sha256"):
        go_on(first, adapter=adapter)


def test_an_edited_alpha_is_refused(first: Done, tmp_path: Path) -> None:
    adapter = copy_of(first, tmp_path / "edited")
    config = adapter / "adapter_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "lora_alpha": 64}))
    with pytest.raises(AdapterError, match=r"adapter_config.json is not what was saved"):
        go_on(first, adapter=adapter)


def test_nan_is_refused_with_the_tensors_name(first: Done, tmp_path: Path) -> None:
    adapter = copy_of(first, tmp_path / "nan", with_manifest=False)
    tensors = load_file(adapter / WEIGHTS)
    tensors["base_model.model.lm_head.weight"][3, 3] = float("nan")
    save_file(tensors, adapter / WEIGHTS)
    with pytest.raises(AdapterError, match=r"lm_head.weight holds NaN"):
        go_on(first, adapter=adapter)


@pytest.mark.parametrize("layers", [1, 3])
def test_another_number_of_layers_is_refused(layers: int, first: Done, tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "other", num_hidden_layers=layers)
    with pytest.raises(AdapterError, match="the model has layers 0 to 0" if layers == 1 else "lacks adapters for 7 of"):
        go_on(first, model=model)


def test_a_resized_vocabulary_whose_base_is_gone_is_refused(first: Done, tmp_path: Path) -> None:
    adapter = copy_of(first, tmp_path / "resized", with_manifest=False)
    tokenizer = json.loads((adapter / "tokenizer.json").read_text())
    tokenizer["added_tokens"].append({**tokenizer["added_tokens"][0], "id": 270, "content": "<new>"})
    (adapter / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(AdapterError, match="trained with a token 270, the model's vocabulary ends at 264"):
        go_on(first, adapter=adapter)


def test_after_three_steps_everything_that_is_trained_has_moved(first: Done) -> None:
    checked = first.of(WeightsChecked)
    assert [one.step for one in checked] == [3, 4]
    assert all((one.unmoved, one.changed) == ((), ()) for one in checked)
    assert (checked[-1].num_trained, checked[-1].num_frozen) == (30, 19)


def other_base(folder: Path) -> Path:
    """The tiny model's shape, with other weights."""
    write_tiny_model(folder)
    weights = load_file(folder / "model.safetensors")
    torch.manual_seed(7)
    changed = {name: torch.randn_like(tensor) * 0.1 for name, tensor in weights.items() if tensor.ndim == 2}
    save_file({**weights, **changed}, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_a_flipped_bit_in_the_base_is_refused_where_its_files_were_read_in_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model = write_tiny_model(tmp_path / "model")
    hash_in_full(model, ["model.safetensors"], lambda *_: None)
    first = train(tmp_path, "training.max_steps=3", model=model)
    content = bytearray((model / "model.safetensors").read_bytes())
    content[-3] ^= 1
    (model / "model.safetensors").write_bytes(content)
    hash_in_full(model, ["model.safetensors"], lambda *_: None)
    with pytest.raises(AdapterError, match=r"was trained on another model\.safetensors of"):
        go_on(first, model=model)
