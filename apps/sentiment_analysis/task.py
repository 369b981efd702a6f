"""Sentiment analysis as the shared runtime trains, measures and publishes it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from apps.sentiment_analysis import data
from apps.sentiment_analysis.config import VARIANTS, SentimentConfig
from apps.sentiment_analysis.preprocessing import TOKENIZER_FILE, pad
from apps.sentiment_analysis.scoring import best_temperature, classification_metrics, evaluate
from shared.data.text_table import LabelledText
from shared.task import DataCheck, Evaluation, Phase, Splits, Task

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from shared.runtime.predictor import Predictor


class SentimentTask(Task):
    """Hooks of the shared runtime; see `shared.task.Task`."""

    app = "sentiment_analysis"
    config_class = SentimentConfig
    variants = VARIANTS
    monitor = "val_accuracy"
    monitor_mode = "max"
    headline = "accuracy"
    pipeline_tag = "text-classification"

    def load_splits(self, config: SentimentConfig) -> Splits:
        return data.load_splits(config)

    def check_data(self, splits: Splits, config: SentimentConfig) -> DataCheck:
        names = splits.info["class_names"]
        counts = []
        for name in names:
            row: dict[str, Any] = {"class": name}
            for split in ("train", "validation", "test"):
                row[split] = sum(e.label == name for e in getattr(splits, split))
            counts.append(row)
        problems = list(splits.info["notes"])
        if len(splits.train) != splits.info["texts"]:
            problems.append(
                f"{splits.info['texts']} training texts became {len(splits.train)} pieces ({config.pieces}) of "
                f"at most {config.sequence_length} tokens"
            )
        problems += [
            f"class {r['class']!r} has {r['train']} training texts only" for r in counts if r["train"] < 20
        ]
        largest, smallest = max(r["train"] for r in counts), min(r["train"] for r in counts)
        if largest > 10 * max(1, smallest):
            problems.append(
                f"classes are unbalanced: {largest} texts of the largest, {smallest} of the smallest"
            )
        return DataCheck(counts, problems)

    def batches(
        self, examples: Sequence[LabelledText], config: SentimentConfig, splits: Splits, *, training: bool
    ) -> tf.data.Dataset:
        processor = data.training_processor(config, splits.info["class_names"])
        return data.make_batches(examples, processor, config, training=training)

    def build_model(self, config: SentimentConfig, splits: Splits) -> keras.Model:
        from apps.sentiment_analysis.model import build_model

        model = build_model(config, len(splits.info["class_names"]))
        if config.intermediate:
            self._learn_intermediate(model, config, splits)
        return model

    def compile(
        self, model: keras.Model, config: SentimentConfig, phase: Phase, steps_per_epoch: int
    ) -> None:
        from apps.sentiment_analysis.model import compile_model

        compile_model(model, config, phase.learning_rate, steps_per_epoch * phase.epochs)

    def _learn_intermediate(self, model: keras.Model, config: SentimentConfig, splits: Splits) -> None:
        """Train on the intermediate data first. Kept in `run_dir`: the next run with the same options reads it."""
        from apps.sentiment_analysis.model import compile_model

        relevant = (
            "model",
            "sequence_length",
            "snippet_words",
            "seed",
            "batch_size",
            "dropout",
            "word_dropout",
        )
        relevant += (
            "layer_decay",
            "warmup",
            "backbone",
            "embedding_dim",
            "units",
            "hash_buckets",
            "weight_decay",
        )
        options = {k: v for k, v in config.asdict().items() if k in relevant or k.startswith("intermediate")}
        options["intermediate"] = Path(config.intermediate).name
        digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()[:12]
        file = Path(config.run_dir) / self.app / f"intermediate-{config.model}-{digest}.weights.h5"
        if file.exists():
            print(f"Intermediate training: taken from {file}", flush=True)
            model.load_weights(file)
            return
        names = splits.info["class_names"]
        snippets = data.intermediate_snippets(config, names)
        print(f"Intermediate training on {len(snippets)} snippets, e.g. {snippets[0].text!r}", flush=True)
        batches = self.batches(snippets, config, splits, training=True)
        rate = config.intermediate_learning_rate or config.learning_rate
        compile_model(model, config, rate, len(batches) * config.intermediate_epochs)
        validation = self.batches(splits.validation, config, splits, training=False)
        model.fit(batches, epochs=config.intermediate_epochs, validation_data=validation, verbose=2)
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f"partial-{file.name}")
        model.save_weights(partial)
        partial.replace(file)

    def calibrate(self, model: keras.Model, config: SentimentConfig, splits: Splits) -> dict[str, Any]:
        from shared.runtime.predictor import KerasGraph

        processor = data.training_processor(config, splits.info["class_names"])
        graphs = {"model": KerasGraph(model=model)}
        logits, _, _ = processor.logits(graphs, [e.text for e in splits.validation])
        labels = np.array([processor.class_names.index(e.label) for e in splits.validation])
        temperature = best_temperature(logits, labels)
        print(f"Temperature fitted on validation: {temperature:.3f}", flush=True)
        return {"temperature": temperature}

    def evaluate(
        self, predictor: Predictor, examples: Sequence[LabelledText], config: SentimentConfig
    ) -> Evaluation:
        return evaluate(predictor, examples)

    def baseline(self, splits: Splits, config: SentimentConfig) -> dict[str, float]:
        """Always the class that is most frequent in training."""
        names = splits.info["class_names"]
        counts = [sum(e.label == name for e in splits.train) for name in names]
        labels = np.array([names.index(e.label) for e in splits.test])
        probabilities = np.tile(np.array(counts, np.float64) / sum(counts), (len(labels), 1))
        return classification_metrics(probabilities, labels)

    def settings(self, config: SentimentConfig, splits: Splits) -> dict[str, Any]:
        return data.model_settings(config) | {"class_names": list(splits.info["class_names"])}

    def parity_inputs(
        self, predictor: Predictor, name: str, examples: Sequence[LabelledText], default: Any
    ) -> Any:
        """First windows of the examples, padded to one length: masks are part of what must agree."""
        windows = predictor.processor.windows([e.text for e in examples])
        return pad([w[0] for w in windows])

    def keep_keras(self, config: SentimentConfig) -> bool:
        """Their Keras files are larger than their graphs; the README's commands make them again."""
        return config.model == "bag_of_words"

    def save_assets(self, folder: Path, config: SentimentConfig, splits: Splits) -> None:
        if config.model != "bag_of_words":
            shutil.copyfile(data.tokenizer_file(config), folder / TOKENIZER_FILE)

    def card(self, config: SentimentConfig) -> dict[str, Any]:
        models = {
            "bag_of_words": "A feed-forward network on the mean of hashed words and word pairs.",
            "bigru": "A bidirectional GRU over word pieces; their vectors start as MiniLM's, projected to "
            f"{config.embedding_dim} dimensions.",
            "minilm": "MiniLM-L6 (Apache-2.0), fine-tuned whole.",
        }
        film = config.variant.startswith(("sst2_", "imdb_"))
        intermediate = (
            f" Before that it read short pieces of {config.intermediate_limit or 'all'} IMDB training reviews."
            if config.intermediate
            else ""
        )
        return {
            "summary": f"{models[config.model]} Texts longer than {config.sequence_length} tokens are read in "
            "windows whose logits are averaged; probabilities are calibrated by a temperature fitted on "
            "validation.",
            "data": (
                (
                    "SST-2 sentences (Socher et al. 2013)"
                    if "sst2" in config.variant
                    else "IMDB (Maas et al. 2011)"
                )
                + f" with their own splits.{intermediate}"
                if film
                else f"The owner's own texts ({Path(config.data).name or config.dataset})."
            ),
            "licence": "Code and weights Apache-2.0. SST-2 and IMDB are for research use: cite Socher et al. 2013 "
            "and Maas et al. 2011."
            if film
            else "As the owner of the data decides.",
            "limits": "English film reviews. Irony, comparisons and texts that report other people's opinions are "
            "where it fails most; there is no class for neutral texts, and other subjects than films were not "
            "measured. Not for judging people."
            if film
            else "Measured on the owner's data only.",
            "licence_id": "apache-2.0",
            "dataset_name": "SST-2 (sentence level)" if "sst2" in config.variant else config.variant,
            "dataset_id": "sst2" if "sst2" in config.variant else "imdb" if film else config.variant,
            "language": "en" if film else None,
        }


TASK = SentimentTask()
