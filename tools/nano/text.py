"""Nano's two tokenizers, learned from the grammar's captions and written as FLUX.1 publishes them.

CLIP's is a byte-pair vocabulary (vocab.json, merges.txt), T5's a unigram model with T5's own normaliser (spiece.model, tokenizer.json).
Both know every printable ASCII character, so a word that no caption has still gets ids, only longer ones.
"""
import base64
import collections
import io
import json
import string
from pathlib import Path

import sentencepiece
from sentencepiece import sentencepiece_model_pb2

CLIP_LENGTH = 77
EXTRA_IDS = 100  # T5's sentinels <extra_id_n>: no caption has them, but transformers' class expects them
PIECES = 400


def byte_characters():
    """CLIP's (GPT-2's) printable stand-ins for the 256 bytes, in its order."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    characters, extra = {b: chr(b) for b in printable}, 0
    for b in range(256):
        if b not in characters:
            characters[b] = chr(256 + extra)
            extra += 1
    return [characters[b] for b in (*printable, *(b for b in range(256) if b not in printable))]


def learn_merges(captions, limit):
    """Byte-pair encoding over the captions' words; ties go to the first pair in the alphabet, so a corpus has one result."""
    words = collections.Counter(w for c in captions for w in c.lower().replace(",", " , ").split())
    pieces = {w: [*w[:-1], w[-1] + "</w>"] for w in words}
    merges = []
    while len(merges) < limit:
        pairs = collections.Counter()
        for w, count in words.items():
            for pair in zip(pieces[w], pieces[w][1:]):
                pairs[pair] += count
        if not pairs: break
        best = max(sorted(pairs), key=pairs.get)
        merges.append(best)
        for w, p in pieces.items():
            i, joined = 0, []
            while i < len(p):
                if i + 1 < len(p) and (p[i], p[i + 1]) == best:
                    joined.append(p[i] + p[i + 1])
                    i += 2
                else:
                    joined.append(p[i])
                    i += 1
            pieces[w] = joined
    return merges


def write_clip_tokenizer(folder: Path, captions, limit=1000):
    folder.mkdir(parents=True, exist_ok=True)
    characters = byte_characters()
    merges = learn_merges(captions, limit)
    entries = [*characters, *(c + "</w>" for c in characters), *(a + b for a, b in merges), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(entries))}
    write_json(folder / "vocab.json", vocabulary, indent=None)
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    write_json(folder / "special_tokens_map.json", special)
    write_json(folder / "tokenizer_config.json", {**special, "add_prefix_space": False, "do_lower_case": True, "errors": "replace",
                                                  "model_max_length": CLIP_LENGTH, "tokenizer_class": "CLIPTokenizer"})
    return vocabulary


def write_t5_tokenizer(folder: Path, captions, length):
    folder.mkdir(parents=True, exist_ok=True)
    model = io.BytesIO()
    corpus = [*captions, *(c[0].upper() + c[1:] for c in captions), *([" ".join(string.printable[:94])] * 20)]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus), model_writer=model, model_type="unigram", vocab_size=PIECES, character_coverage=1.0,
        normalization_rule_name="nmt_nfkc", pad_id=0, eos_id=1, unk_id=2, bos_id=-1, pad_piece="<pad>", hard_vocab_limit=False,
        num_threads=1, minloglevel=1)
    (folder / "spiece.model").write_bytes(model.getvalue())
    proto = sentencepiece_model_pb2.ModelProto.FromString(model.getvalue())
    sentinels = [f"<extra_id_{i}>" for i in reversed(range(EXTRA_IDS))]
    vocabulary = [*([p.piece, p.score] for p in proto.pieces), *([s, 0.0] for s in sentinels)]
    ids = {piece: i for i, (piece, _) in enumerate(vocabulary)}
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    sequence = lambda name: {"Sequence": {"id": name, "type_id": 0}}
    end = {"SpecialToken": {"id": "</s>", "type_id": 0}}
    write_json(folder / "tokenizer.json", {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": ids[t], "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
                         for t in ("<pad>", "</s>", "<unk>", *sentinels)],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(proto.normalizer_spec.precompiled_charsmap).decode()},
            {"type": "Strip", "strip_left": False, "strip_right": True},
            {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"}]},
        "pre_tokenizer": metaspace,
        "post_processor": {"type": "TemplateProcessing", "single": [sequence("A"), end], "pair": [sequence("A"), end, sequence("B"), end],
                           "special_tokens": {"</s>": {"id": "</s>", "ids": [ids["</s>"]], "tokens": ["</s>"]}}},
        "decoder": metaspace,
        "model": {"type": "Unigram", "unk_id": ids["<unk>"], "vocab": vocabulary, "byte_fallback": False}}, indent=None)
    special = {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    write_json(folder / "special_tokens_map.json", special)
    write_json(folder / "tokenizer_config.json", {**special, "extra_ids": EXTRA_IDS, "model_max_length": length, "legacy": True,
                                                  "tokenizer_class": "T5Tokenizer"})
    return ids


def write_json(file: Path, value, indent=2):
    file.write_text(json.dumps(value, ensure_ascii=False, indent=indent) + "\n")
