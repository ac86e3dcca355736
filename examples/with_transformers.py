"""Design a loss while a Hugging Face ``Trainer`` trains, then train a fresh model with it.

pip install "autobalance[huggingface]"
python examples/with_transformers.py

The model is a tiny BERT with random weights, and the texts are random tokens: a text of class k has
one token of its own among those that all classes share, and class k is rarer than class k − 1.
"""

import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    PreTrainedModel,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_callback import PrinterCallback
from transformers.utils import logging

from autobalance import (
    Counts,
    LossDesign,
    OnlineSettings,
    ParametricCrossEntropy,
    objective_error,
    preset,
)
from autobalance.integrations.huggingface import AutoBalanceTrainer

CLASSES, SHARED, LENGTH = 5, 20, 8
AMBIGUOUS = 0.3
Texts = list[dict[str, Any]]


def texts(sizes: Sequence[int], seed: int) -> Texts:
    """Token sequences, as a tokenizer makes them, with so many of each class."""
    random = np.random.default_rng(seed)
    made: Texts = []
    for label in np.repeat(np.arange(len(sizes)), sizes).tolist():
        tokens = random.integers(1, SHARED, size=LENGTH)  # token 0 is the padding
        tokens[random.integers(LENGTH)] = SHARED + label
        if random.random() < AMBIGUOUS:  # and sometimes another class's
            tokens[random.integers(LENGTH)] = SHARED + random.integers(CLASSES)
        made.append({"input_ids": tokens.tolist(), "labels": label})
    return [made[place] for place in random.permutation(len(made))]


def a_model() -> PreTrainedModel:
    """Fresh weights, the same each time; eager attention has forward mode, fused has not."""
    set_seed(0)
    config = BertConfig(
        vocab_size=SHARED + CLASSES,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=LENGTH,
        num_labels=CLASSES,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        attn_implementation="eager",
    )
    return BertForSequenceClassification(config)


def a_trainer(design: LossDesign, data: Texts, folder: str, **search: Any) -> AutoBalanceTrainer:
    """The usual Trainer and its loss."""
    arguments = TrainingArguments(
        output_dir=folder,
        num_train_epochs=12,
        per_device_train_batch_size=16,
        gradient_accumulation_steps=2,
        learning_rate=5e-3,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
    )
    loss = ParametricCrossEntropy.from_design(design)
    trainer = AutoBalanceTrainer(a_model(), arguments, train_dataset=data, loss=loss, **search)
    trainer.remove_callback(PrinterCallback)
    return trainer


def main() -> None:
    """Compare the loss that the search starts from with the one that it designs."""
    logging.set_verbosity_error()
    train, held_out = texts([160, 80, 40, 20, 10], 1), texts([40, 20, 10, 5, 5], 2)
    test = texts([60] * CLASSES, 3)
    labels = np.array([text["labels"] for text in train])
    start = preset("logit-adjustment", Counts.from_codes(labels, None, range(CLASSES)))
    settings = OnlineSettings(warm_up=40, every=5)
    with tempfile.TemporaryDirectory() as folder:
        trainer = a_trainer(
            start,
            train,
            folder,
            objective="balanced",
            held_out=held_out,
            search_options={"settings": settings},
        )
        trainer.train()
        for name, design in (("logit adjustment", start), ("designed", trainer.design())):
            trainer = a_trainer(design, train + held_out, folder)
            trainer.train()
            outcome = trainer.predict(test)
            error = objective_error(
                outcome.label_ids, outcome.predictions.argmax(1), objective="balanced"
            )
            print(f"{name:>16}: balanced test error {100 * error:.1f} %")


if __name__ == "__main__":
    main()
