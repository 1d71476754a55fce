from typing import Any, Sequence, TextIO

class ReportBuilder:
    data: dict[str, Any] | Sequence[str]
    verbose: int
    align: bool
    entry_number_threshold: int
    final_file_type: str | None
    def __init__(
        self, data: dict[str, Any] | Sequence[str], verbose: int = 1, align: bool = False, minimize_memory: bool = False, base_time: int | None = None
    ) -> None: ...
    @classmethod
    def get_source_from_filename(cls, filename: str) -> str | None: ...
    def save(self, output_file: str | TextIO = "result.json") -> None: ...
