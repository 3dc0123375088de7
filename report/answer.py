"""What a query answers, packed for a page."""

import datetime
import decimal


def plain(value):
    """A value as JSON has it. Six digits behind the point are more than a page shows."""
    if isinstance(value, decimal.Decimal):
        value = float(value)
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat()
    return value


class Answer:
    """The columns of an answer. Texts and days come again and again: each is kept once."""

    def __init__(self, names, kinds, rows):
        self.names = names
        self.kinds = ["date" if kind.lower() == "date" else "plain" for kind in kinds]
        self.rows = rows

    def packed(self):
        columns = {}
        for place, (name, kind) in enumerate(zip(self.names, self.kinds, strict=True)):
            values = [plain(row[place]) for row in self.rows]
            if all(value is None or isinstance(value, str) for value in values):
                words = {value: index for index, value in enumerate(dict.fromkeys(values))}
                columns[name] = {"kind": kind, "words": list(words), "at": [words[value] for value in values]}
            else:
                columns[name] = {"kind": kind, "values": values}
        return {"length": len(self.rows), "columns": columns}
