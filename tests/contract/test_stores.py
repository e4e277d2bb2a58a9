"""Every store passes the contract."""

from __future__ import annotations

import pytest

from contract.store import StoreContract
from memory import memory_engine
from websession import FileStore, MappingStore
from websession.stores.records import RecordStore


class TestFileStore(StoreContract):
    @pytest.fixture
    def store(self, root, backend):
        store = FileStore(root, backend=backend, sweep_interval=0)
        yield store
        store.close()


class TestJsonFileStore(StoreContract):
    """One whose versions and payloads come from another serialiser."""

    @pytest.fixture
    def store(self, root, backend):
        store = FileStore(
            root, backend=backend, sweep_interval=0, serializer="json"
        )
        yield store
        store.close()


class TestRecordStore(StoreContract):
    """Over the engine that the documentation of `Engine` has."""

    @pytest.fixture
    def store(self):
        return RecordStore(memory_engine())


class TestMappingStore(StoreContract):
    @pytest.fixture
    def store(self):
        return MappingStore({})
