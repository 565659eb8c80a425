"""The C functions of llama.cpp and of ik_llama.cpp, its fork, under the same names: all that differs between the two.

Each class has the functions that llama.py calls, from the bindings of its package. They run in the packages' own venvs.
"""

import ctypes
import importlib


class LlamaCpp:
    """The package llama-cpp-python."""

    module = "llama_cpp.llama_cpp"

    def __init__(self):
        self.api = importlib.import_module(self.module)
        self.silence()

    def load(self, path: str, repack: bool):
        """A model whose weights are used as the file has them or, `repack`, in an order that is quicker to read."""
        parameters = self.api.llama_model_default_params()
        self.set_repacking(parameters, repack)
        return self.api.llama_model_load_from_file(path.encode(), parameters)

    def new_context(self, model, positions: int, sequences: int, batch: int, flash: bool):
        """A llama_context for sequences of so many positions, of which one pass takes up to `batch`."""
        parameters = self.api.llama_context_default_params()
        parameters.n_ctx, parameters.n_seq_max, parameters.n_batch = positions * sequences, sequences, batch
        self.set_flash(parameters, flash)
        return self.api.llama_init_from_model(model, parameters)

    def tokenizer(self, model):
        """What llama_tokenize takes first."""
        return self.api.llama_model_get_vocab(model)

    def silence(self) -> None:
        """No log: llama.cpp tells much about each model."""
        self._silent = self.api.llama_log_callback(lambda level, text, data: None)
        self.api.llama_log_set(self._silent, None)

    def set_repacking(self, parameters, repack: bool) -> None:
        parameters.use_extra_bufts = repack

    def set_flash(self, parameters, flash: bool) -> None:
        kinds = self.api.LLAMA_FLASH_ATTN_TYPE_DISABLED, self.api.LLAMA_FLASH_ATTN_TYPE_ENABLED
        parameters.flash_attn_type = kinds[flash]

    def set_threads(self, context, threads: int) -> None:
        self.api.llama_set_n_threads(context, threads, threads)

    def clear(self, context) -> None:
        """Forget all sequences."""
        self.api.llama_memory_clear(self.api.llama_get_memory(context), True)

    def truncate(self, context, length: int) -> None:
        """Forget what sequence 0 has from a position on."""
        self.api.llama_memory_seq_rm(self.api.llama_get_memory(context), 0, length, -1)

    def save(self, context, path: str, tokens, count: int) -> int:
        return self.api.llama_state_seq_save_file(context, path.encode(), 0, tokens, count)

    def restore(self, context, path: str, room, capacity: int, count) -> int:
        return self.api.llama_state_seq_load_file(context, path.encode(), 0, room, capacity, count)

    def free_model(self, model) -> None:
        self.api.llama_model_free(model)


class IkLlamaCpp(LlamaCpp):
    """The package ik-llama-cpp-python: what its bindings lack is called in its library."""

    module = "ik_llama_cpp._ctypes_api"

    def __init__(self):
        super().__init__()
        library = self.api._lib
        pointer, number, size = ctypes.c_void_p, ctypes.c_int32, ctypes.c_size_t
        library.llama_set_n_threads.argtypes = [pointer, ctypes.c_uint32, ctypes.c_uint32]
        library.llama_kv_cache_seq_rm.argtypes = [pointer, number, number, number]
        saved = [pointer, ctypes.c_char_p, number, pointer, size]
        library.llama_state_seq_save_file.argtypes = saved
        library.llama_state_seq_load_file.argtypes = [*saved, pointer]
        for function in (library.llama_state_seq_save_file, library.llama_state_seq_load_file):
            function.restype = size

    def tokenizer(self, model):
        return model

    def silence(self) -> None:
        kind = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
        self._silent = kind(lambda level, text, data: None)
        self.api._lib.llama_log_set(self._silent, None)

    def set_repacking(self, parameters, repack: bool) -> None:
        parameters.repack_tensors, parameters.use_mmap = repack, not repack

    def set_flash(self, parameters, flash: bool) -> None:
        parameters.flash_attn = flash

    def set_threads(self, context, threads: int) -> None:
        self.api._lib.llama_set_n_threads(context, threads, threads)

    def clear(self, context) -> None:
        self.api.llama_kv_cache_clear(context)

    def truncate(self, context, length: int) -> None:
        self.api._lib.llama_kv_cache_seq_rm(context, 0, length, -1)

    def save(self, context, path: str, tokens, count: int) -> int:
        return self.api._lib.llama_state_seq_save_file(context, path.encode(), 0, tokens, count)

    def restore(self, context, path: str, room, capacity: int, count) -> int:
        return self.api._lib.llama_state_seq_load_file(context, path.encode(), 0, room, capacity, count)

    def free_model(self, model) -> None:
        self.api.llama_free_model(model)


BINDINGS = {"llama.cpp": LlamaCpp, "ik_llama.cpp": IkLlamaCpp}
