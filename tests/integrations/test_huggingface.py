"""The loss and the Trainer for Hugging Face."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from autobalance import ParametricCrossEntropy
from autobalance.errors import DataError, DesignError, SearchError
from tests.integrations.loops import (
    N_CLASSES,
    SETTINGS,
    examples,
    grouped_loss,
    network,
    plain_loop,
    same_moves,
    sgd,
)

pytest.importorskip("autobalance.integrations.huggingface", exc_type=ImportError)
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    TrainingArguments,
    default_data_collator,
    set_seed,
)
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.trainer_callback import PrinterCallback

from autobalance.integrations.huggingface import STATE_NAME, AutoBalanceTrainer, TrainerLoss

BATCH = 8


class Model(nn.Module):
    """What Trainer knows of a model: keyword arguments, and an output with logits."""

    def __init__(self) -> None:
        super().__init__()
        self.net = network()

    def forward(self, x, labels=None):
        return SequenceClassifierOutput(logits=self.net(x))


def items(dataset):
    """As a tokenized Dataset has them; the column ``unused`` is for nobody."""
    return [{"x": x, "label": int(y), "group": int(g), "unused": 7} for x, y, g in dataset]


def trainer(data, folder, *, loss=None, accumulate=1, epochs=3, model=None, **options):
    model = Model() if model is None else model
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=epochs,
        per_device_train_batch_size=BATCH,
        gradient_accumulation_steps=accumulate,
        train_sampling_strategy="sequential",
        lr_scheduler_type="constant",
        max_grad_norm=0.0,
        logging_steps=1,
        save_strategy="epoch",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
        use_cpu=True,
    )
    made = AutoBalanceTrainer(
        model,
        arguments,
        train_dataset=items(data),
        loss=grouped_loss(data) if loss is None else loss,
        optimizers=(sgd(model), None),
        **options,
    )
    made.remove_callback(PrinterCallback)
    return made


def searching(data, held_out, folder, *, parameters="auto", **options):
    return trainer(
        data,
        folder,
        objective="group-balanced",
        held_out=items(held_out),
        search_options={"settings": SETTINGS, "parameters": parameters},
        **options,
    )


def logged(made):
    return [entry["loss"] for entry in made.state.log_history if "loss" in entry]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_it_trains_and_moves_as_a_plain_loop_does(accumulate, data, held_out, tmp_path):
    made = searching(data, held_out, tmp_path, accumulate=accumulate, epochs=6)
    made.train()
    loader = DataLoader(items(data), BATCH, collate_fn=default_data_collator)
    batches = [(batch["x"], batch["labels"], batch["group"]) for batch in loader]
    expected, reference = plain_loop(
        network(), grouped_loss(data), [batches] * 6, held_out.tensors, accumulate=accumulate
    )
    steps = np.array(expected).reshape(-1, accumulate).mean(1)
    assert logged(made) == pytest.approx(steps, abs=1e-6)
    same_moves(made.search, reference)
    assert made.design().additive == pytest.approx(reference.design().additive, abs=1e-6)


def test_micro_batches_are_worth_one_large_batch(data, tmp_path):
    """A step of plain SGD on 48 examples, at once and in six parts, with the groups of each."""
    weights = []
    for size, accumulate in ((48, 1), (8, 6)):
        made = trainer(data, tmp_path, accumulate=accumulate, epochs=1)
        made.args.per_device_train_batch_size = size
        made._train_batch_size = size
        made.train()
        assert made.state.global_step == 1
        weights.append(torch.cat([p.detach().flatten() for p in made.model.parameters()]))
    torch.testing.assert_close(*weights, atol=1e-6, rtol=0)


@pytest.mark.parametrize("tokens", [(), (5,)])
def test_the_shares_of_micro_batches_add_up_whatever_is_ignored(tokens):
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(9, *tokens, N_CLASSES, generator=draw, requires_grad=True)
    labels = torch.randint(N_CLASSES, (9, *tokens), generator=draw)
    labels[::3] = -100
    loss = ParametricCrossEntropy([1.0, 2.0, 4.0], [0.0, -1.0, -2.0])
    share = TrainerLoss(loss)
    n = (labels != -100).sum()
    parts = zip(logits.split([1, 2, 6]), labels.split([1, 2, 6]), strict=True)
    total = sum(share(SequenceClassifierOutput(logits=z), y, n) for z, y in parts)
    kept = labels != -100
    whole = loss(logits[kept], labels[kept])
    torch.testing.assert_close(total, whole, atol=1e-6, rtol=0)
    torch.testing.assert_close(share(logits, labels), whole, atol=1e-6, rtol=0)
    slopes = [torch.autograd.grad(value, logits)[0] for value in (total, whole)]
    torch.testing.assert_close(*slopes, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("labels", "outputs", "match"),
    [
        (None, torch.zeros(2, 3), "labels are none"),
        (torch.full((2, 3), 1 / 3), torch.zeros(2, 3), "labels are soft"),
        (torch.zeros(2, dtype=torch.long), (torch.zeros(2, 3),), "returns a tuple without logits"),
    ],
)
@pytest.mark.usefixtures("plain_calls")
def test_what_is_no_loss_is_said(labels, outputs, match):
    with pytest.raises(DataError, match=match):
        TrainerLoss(ParametricCrossEntropy(n_classes=3))(outputs, labels, 2)


def test_another_ignored_label_is_refused():
    with pytest.raises(DesignError, match="leave ignore_index at -100"):
        TrainerLoss(ParametricCrossEntropy(n_classes=3, ignore_index=-1))


def test_a_resumed_run_ends_with_the_same_design(data, held_out, tmp_path):
    options = {"parameters": ("additive", "ridge"), "epochs": 4}
    whole = searching(data, held_out, tmp_path, **options)
    whole.train()
    checkpoint = tmp_path / "checkpoint-12"
    assert (checkpoint / STATE_NAME).is_file()
    again = searching(data, held_out, tmp_path, **options)
    again.train(resume_from_checkpoint=str(checkpoint))
    same_moves(again.search, whole.search)
    assert again.design().ridge == pytest.approx(whole.design().ridge)
    for ours, wanted in zip(again.model.parameters(), whole.model.parameters(), strict=True):
        torch.testing.assert_close(ours, wanted, atol=1e-6, rtol=0)


def test_a_checkpoint_without_a_search_begins_one(data, held_out, tmp_path, caplog):
    trainer(data, tmp_path, epochs=1).train()
    made = searching(data, held_out, tmp_path, epochs=3)
    made.train(resume_from_checkpoint=True)
    assert made.search.iteration == 12
    assert "the search begins anew" in caplog.text


def test_values_are_logged_with_the_training_loss(data, held_out, tmp_path):
    made = searching(data, held_out, tmp_path)
    made.train()
    entries = [entry for entry in made.state.log_history if "loss" in entry]
    assert "autobalance/objective" not in entries[0]
    assert entries[-1]["autobalance/objective"] == made.search.history[-1].record.value


def test_evaluation_and_prediction_know_the_groups_or_do_without(data, held_out, tmp_path):
    made = trainer(data, tmp_path, epochs=1)
    made.args.per_device_eval_batch_size = 64
    inputs, targets, groups = held_out.tensors
    expected = made._loss.loss(made.model(inputs).logits, targets, groups)
    metrics = made.evaluate(items(held_out))
    assert metrics["eval_loss"] == pytest.approx(expected.item(), abs=1e-6)
    unlabelled = [{"x": item["x"], "group": item["group"]} for item in items(held_out)]
    outcome = made.predict(unlabelled)
    assert outcome.predictions == pytest.approx(made.model(inputs).logits.detach().numpy())


def test_without_an_objective_the_design_stays(data, tmp_path):
    made = trainer(data, tmp_path)
    assert made.search is None
    assert made.design() is made._loss.loss.design
    with pytest.raises(DesignError, match="from_design"):
        trainer(data, tmp_path, loss=ParametricCrossEntropy(n_classes=3)).design()


def test_a_search_needs_objective_and_examples(data, held_out, tmp_path):
    with pytest.raises(DataError, match="both an objective and the examples"):
        trainer(data, tmp_path, objective="balanced")
    with pytest.raises(SearchError, match="train first"):
        searching(data, held_out, tmp_path).design()


def bert(attention):
    set_seed(0)
    config = BertConfig(
        vocab_size=20,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=6,
        num_labels=N_CLASSES,
        attn_implementation=attention,
    )
    return BertForSequenceClassification(config)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_a_transformer_with_padding_is_searched_on(attention, tmp_path, recwarn):
    """Texts of 3 to 6 tokens, padded: fused attention gets finite differences and says so."""
    draw = torch.Generator().manual_seed(0)
    _, targets, groups = examples(32, 3)
    data = []
    for y, g in zip(targets.tolist(), groups.tolist(), strict=True):
        tokens = torch.randint(1, 20, (6,), generator=draw)
        mask = (torch.arange(6) < 3 + y).long()
        data.append({"input_ids": tokens * mask, "attention_mask": mask, "label": y, "group": g})
    model = bert(attention)
    made = AutoBalanceTrainer(
        model,
        TrainingArguments(
            output_dir=str(tmp_path),
            max_steps=8,
            per_device_train_batch_size=8,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=False,
            use_cpu=True,
        ),
        train_dataset=data,
        loss=ParametricCrossEntropy.from_design(
            grouped_loss(torch.utils.data.TensorDataset(targets, targets, groups)).design
        ),
        objective="group-balanced",
        held_out=data,
        search_options={"settings": SETTINGS},
    )
    made.train()
    (move,) = made.search.history
    assert not move.refused
    warned = [str(each.message) for each in recwarn if "fused attention" in str(each.message)]
    assert bool(warned) == (attention == "sdpa")
