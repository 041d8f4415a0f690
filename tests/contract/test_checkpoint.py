from pathlib import Path

from contract.checkpoint import begun, committed

BATCH = 'v1\n{"batchWatermarkMs":0,"conf":{}}\n{"digits.readings":{"0":%d,"1":7}}'


def batch(folder: Path, number: int, offset: int, done: bool) -> None:
    for kind in ("offsets", "commits"):
        (folder / kind).mkdir(exist_ok=True)
    (folder / "offsets" / str(number)).write_text(BATCH % offset)
    (folder / "offsets" / f".{number}.crc").write_bytes(b"")
    if done:
        (folder / "commits" / str(number)).write_text('v1\n{"nextBatchWatermarkMs":0}')
        (folder / "commits" / f".{number}.crc").write_bytes(b"")


def test_a_query_stands_after_its_last_committed_batch(tmp_path: Path) -> None:
    for number in (9, 10):
        batch(tmp_path, number, 100 * number, done=True)
    batch(tmp_path, 11, 1100, done=False)
    assert committed(tmp_path, "digits.readings") == {0: 1000, 1: 7}
    assert committed(tmp_path, "other.readings") is None


def test_no_checkpoint_says_nothing(tmp_path: Path) -> None:
    assert committed(tmp_path / "none", "digits.readings") is None
    batch(tmp_path, 0, 5, done=False)
    assert committed(tmp_path, "digits.readings") is None


def test_a_query_begins_where_its_source_began(tmp_path: Path) -> None:
    assert begun(tmp_path, "digits.readings") is None
    (tmp_path / "sources" / "0").mkdir(parents=True)
    note = '\0v1\n{"digits.readings":{"1":30,"0":20},"digits.replays":{"0":0}}'
    (tmp_path / "sources" / "0" / "0").write_text(note)
    assert begun(tmp_path, "digits.readings") == {0: 20, 1: 30}
    assert begun(tmp_path, "other.readings") is None
