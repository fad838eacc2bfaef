"""The cells of a selection in every form that the hosts serve; DuckDB makes the text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import numpy as np

from simulator.eurostat.model import CONFIDENTIALITY, FLAGS, Dataset, Selection
from simulator.eurostat.replies import XML_START, dump
from simulator.faults.registry import Rows
from simulator.release import Release

_MESSAGE = "http://www.sdmx.org/resources/sdmxml/schemas/v2_1/message"
_COMMON = "http://www.sdmx.org/resources/sdmxml/schemas/v2_1/common"


class Observations:
    """The cells of one selection, as text in a DuckDB table that the faults may change before it is written.

    Parameters
    ----------
    connection
        DuckDB connection; its table ``cells`` is replaced.
    dataset, selection, release
        The cells.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, dataset: Dataset, selection: Selection, release: Release
    ) -> None:
        self.connection = connection
        self.dataset = dataset
        self.selection = selection
        self.release = release
        self._fill()

    def _fill(self) -> None:
        dataset = self.dataset
        if dataset.cells is None:
            raise ValueError(f"{dataset.code} has no data in the simulator")
        cells = dataset.cells(self.selection, self.release)
        names = dataset.names
        order = np.lexsort([cells.periods, *(cells.positions[name] for name in reversed(names))])
        nothing = np.zeros(len(order), np.int64)
        columns = {name: cells.positions[name][order] for name in names}
        columns["time_period"] = cells.periods[order]
        columns["number"] = cells.numbers[order]
        columns["decimals"] = cells.decimals[order]
        columns["scale"] = 10 ** columns["decimals"]
        columns["obs_flag"] = nothing if cells.flags is None else cells.flags[order]
        columns["conf_status"] = nothing if cells.confidentiality is None else cells.confidentiality[order]
        columns["position"] = np.arange(len(order))
        self.connection.register("numbers", columns)
        lists: dict[str, Sequence[str]] = {name: dataset.dimension(name).codes for name in names}
        lists["time_period"] = dataset.all_periods(self.release)
        if dataset.has_flags:
            lists |= {"obs_flag": tuple(FLAGS), "conf_status": tuple(CONFIDENTIALITY)}
        for name, codes in lists.items():
            self.connection.execute(
                f"create or replace temp table {name}_list as "
                "select unnest(cast(? as varchar[])) as code, unnest(range(?)) as i",
                [list(codes), len(codes)],
            )
        joins = " ".join(f"join {name}_list on {name}_list.i = numbers.{name}" for name in lists)
        fields = ", ".join(f"{name}_list.code as {name}" for name in lists)
        self.connection.execute(
            f"create or replace temp table cells as select position, {fields}, case "
            # A confidential cell has no value.
            "when numbers.conf_status > 0 then '' "
            "when decimals = 0 then cast(number as varchar) "
            "else if(number < 0, '-', '') || (abs(number) // scale) || if(abs(number) % scale = 0, '', "
            "'.' || rtrim(lpad(cast(abs(number) % scale as varchar), cast(decimals as integer), '0'), '0')) "
            f"end as obs_value from numbers {joins} order by position"
        )
        self.connection.unregister("numbers")

    def keep_observations(self, number: int, *, last: bool) -> None:
        """Keep only the first or the last observations of every series."""
        self.connection.execute(
            "create or replace temp table cells as select * from cells qualify row_number() over ("
            f"partition by {', '.join(self.dataset.names)} order by time_period {'desc' if last else 'asc'}) <= ?",
            [number],
        )

    def rows(self) -> Rows | None:
        """Return the description of the cells for the faults; None if the dataset has no meaning."""
        meaning = self.dataset.meaning
        if meaning is None:
            return None
        return Rows(
            connection=self.connection,
            table="cells",
            partner=meaning.partner,
            indicator=meaning.indicator,
            value="obs_value",
            total=meaning.total,
            aggregates=meaning.aggregates,
            large_partners=meaning.large_partners,
            unknown_partner=meaning.unknown_partner,
            main_indicators=meaning.main_indicators,
            renamed_indicator=meaning.renamed_indicator,
        )

    def _text(self, statement: str, parameters: Sequence[Any] = ()) -> str:
        row = self.connection.execute(statement, parameters).fetchone()
        return "" if row is None or row[0] is None else str(row[0])

    @property
    def _attributes(self) -> tuple[str, ...]:
        return ("OBS_FLAG", "CONF_STATUS") if self.dataset.has_flags else ()

    # -- text -------------------------------------------------------------------------------------------

    def csv(self) -> str:
        """Return SDMX-CSV 1.0."""
        names = self.dataset.names
        stamp = self.dataset.stamp(self.release)
        update = f"{stamp[8:10]}/{stamp[5:7]}/{stamp[2:4]} {stamp[11:19]}"
        attributes = [name.lower() for name in self._attributes]
        fields = " || ',' || ".join((*names, "time_period", "obs_value", *attributes))
        lines = self._text(
            f"select string_agg(? || {fields} || chr(13) || chr(10), '' order by position) from cells",
            [f"ESTAT:{self.dataset.code}(1.0),{update},"],
        )
        header = ",".join(("DATAFLOW", "LAST UPDATE", *names, "TIME_PERIOD", "OBS_VALUE", *self._attributes))
        return f"{header}\r\n{lines}"

    def tsv(self) -> str:
        """Return Eurostat's tab-separated form, one line per series.

        In a dataset with flags a value is followed by a blank and its flag, if any. The form of a confidential cell (a
        colon, a blank and its status) is unverified.
        """
        names = self.dataset.names
        periods = [label for freq in self.selection.codes["freq"] for label in self.selection.periods[freq]]
        header = ",".join(names) + "\\TIME_PERIOD" + "".join(f"\t{label} " for label in periods)
        key = " || ',' || ".join(names)
        cell = "obs_value"
        if self.dataset.has_flags:
            cell = "if(obs_value = '', ':', obs_value) || ' ' || obs_flag || conf_status"
        lines = self._text(
            # Every series has every period; an absent value is a colon and a blank.
            "with series as (select min(position) as position, "
            f"{key} as key, map_from_entries(list(distinct (time_period, {cell}))) as cells "
            "from cells group by all) "
            "select string_agg(key || chr(9) || array_to_string(list_transform(cast(? as varchar[]), "
            "lambda period: coalesce(cells[period], ': ')), chr(9)) || chr(13) || chr(10), '' "
            "order by position) from series",
            [periods],
        )
        return f"{header}\r\n{lines}"

    # -- SDMX-ML ----------------------------------------------------------------------------------------

    def _message_header(self, structure: str) -> str:
        return (
            f"<m:Header><m:ID>{self.dataset.code}_{self.release.number}</m:ID><m:Test>false</m:Test>"
            f"<m:Prepared>{self.release.eurostat_stamp[:-2]}:00</m:Prepared>"
            '<m:Sender id="ESTAT"/>'
            f"{structure}<m:DataSetID>{self.dataset.code}</m:DataSetID>"
            f"<m:Extracted>{self.release.eurostat_stamp[:-2]}:00</m:Extracted></m:Header>"
        )

    def _series(self, start: str, observation: str, end: str) -> str:
        names = ", ".join(self.dataset.names)
        return self._text(
            f"with series as (select min(position) as position, {start} as start_text, "
            f"string_agg({observation}, '' order by position) as observations from cells group by {names}) "
            f"select string_agg(start_text || observations || '{end}', '' order by position) from series"
        )

    def generic_xml(self) -> str:
        """Return SDMX-ML 2.1 Generic, the default format of the host."""
        key = " || ".join(f"""'<g:Value id="{name}" value="' || {name} || '"/>'""" for name in self.dataset.names)
        attributes = " || ".join(
            f"""if({name.lower()} = '', '', '<g:Value id="{name}" value="' || {name.lower()} || '"/>')"""
            for name in self._attributes
        )
        given = " || ".join(name.lower() for name in self._attributes)
        observation = (
            """'<g:Obs><g:ObsDimension value="' || time_period || '"/><g:ObsValue value="' || """
            """if(obs_value = '', 'NaN', obs_value) || '"/>'"""
        )
        if attributes:
            observation += f" || if({given} = '', '', '<g:Attributes>' || {attributes} || '</g:Attributes>')"
        observation += " || '</g:Obs>'"
        series = self._series(f"'<g:Series><g:SeriesKey>' || {key} || '</g:SeriesKey>'", observation, "</g:Series>")
        version, code = self.dataset.dsd_version, self.dataset.code
        structure = (
            '<m:Structure structureID="STR1" dimensionAtObservation="TIME_PERIOD"><c:Structure>'
            f'<Ref agencyID="ESTAT" id="{code}" version="{version}"/></c:Structure></m:Structure>'
        )
        return (
            f'{XML_START}<m:GenericData xmlns:m="{_MESSAGE}" xmlns:c="{_COMMON}" '
            'xmlns:g="http://www.sdmx.org/resources/sdmxml/schemas/v2_1/data/generic" '
            'xmlns:footer="http://www.sdmx.org/resources/sdmxml/schemas/v2_1/message/footer">'
            f'{self._message_header(structure)}<m:DataSet structureRef="STR1">{series}</m:DataSet></m:GenericData>'
        )

    def structured_xml(self) -> str:
        """Return SDMX-ML 2.1 structure-specific."""
        key = " || ".join(f"""' {name}="' || {name} || '"'""" for name in self.dataset.names)
        attributes = "".join(
            f""" || if({name.lower()} = '', '', ' {name}="' || {name.lower()} || '"')""" for name in self._attributes
        )
        observation = (
            """'<Obs TIME_PERIOD="' || time_period || '" OBS_VALUE="' || if(obs_value = '', 'NaN', obs_value) || '"'"""
            f"{attributes} || '/>'"
        )
        series = self._series(f"'<Series' || {key} || '>'", observation, "</Series>")
        version, code = self.dataset.dsd_version, self.dataset.code
        structure = (
            '<m:Structure dimensionAtObservation="TIME_PERIOD" structureID="STR1"><c:StructureUsage>'
            f'<Ref id="{code}" agencyID="ESTAT" version="1.0"/></c:StructureUsage></m:Structure>'
        )
        namespace = (
            f"urn:sdmx:org.sdmx.infomodel.datastructure.DataStructure=ESTAT:{code}({version}):ObsLevelDim:TIME_PERIOD"
        )
        return (
            f'{XML_START}<m:StructureSpecificData xmlns:m="{_MESSAGE}" '
            'xmlns:s="http://www.sdmx.org/resources/sdmxml/schemas/v2_1/data/structurespecific" '
            f'xmlns:u="{namespace}" xmlns:c="{_COMMON}" '
            'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
            f'{self._message_header(structure)}<u:DataSet s:structureRef="STR1" s:dataScope="DataStructure" '
            f'xsi:type="u:DataSetType">{series}</u:DataSet></m:StructureSpecificData>'
        )

    # -- JSON-stat --------------------------------------------------------------------------------------

    def json_stat(self, times: Sequence[str]) -> str:
        """Return JSON-stat 2.0; ``times`` is the time axis."""
        axes: dict[str, Sequence[str]] = {**self.selection.codes, "time": times}
        strides: dict[str, int] = {}
        size = 1
        for name in reversed(axes):
            strides[name] = size
            size *= len(axes[name])
        index = " + ".join(
            f"(list_position(?, {'time_period' if name == 'time' else name}) - 1) * {strides[name]}" for name in axes
        )
        lists = [list(codes) or [""] for codes in axes.values()]
        values = self._text(
            f"select string_agg(chr(34) || i || chr(34) || ':' || obs_value, ',' order by i) "
            f"from (select {index} as i, obs_value from cells where obs_value <> '')",
            lists,
        )
        status = ""
        if self.dataset.has_flags:
            status = self._text(
                "select string_agg(chr(34) || i || chr(34) || ':' || chr(34) || obs_flag || '|' || conf_status "
                f"|| chr(34), ',' order by i) from (select {index} as i, obs_flag, conf_status from cells "
                "where obs_flag || conf_status <> '')",
                lists,
            )
        extension = {**describe_dataset(self.dataset, self.release), **self._empty_positions(axes)}
        if status:
            labels = {f"{flag}|": title for flag, title in FLAGS.items() if flag}
            labels |= {f"|{code}": title for code, title in CONFIDENTIALITY.items() if code}
            extension["status"] = {"label": labels}
        tail = {
            "id": list(axes),
            "size": [len(codes) for codes in axes.values()],
            "dimension": {name: self._describe_axis(name, codes) for name, codes in axes.items()},
            "extension": extension,
        }
        head = {
            "version": "2.0",
            "class": "dataset",
            "label": self.dataset.titles["en"],
            "source": "ESTAT",
            "updated": self.dataset.stamp(self.release),
        }
        state = f',"status":{{{status}}}' if status else ""
        return f'{dump(head)[:-1]},"value":{{{values}}}{state},{dump(tail)[1:]}'

    def _describe_axis(self, name: str, codes: Sequence[str]) -> dict[str, Any]:
        if name == "time":
            # The Comext host labels the time axis TIME_PERIOD.
            label = "TIME_PERIOD" if self.dataset.is_comext else "Time"
            texts: Mapping[str, str] = {code: code for code in codes}
        else:
            dimension = self.dataset.dimension(name)
            label, texts = dimension.title or name.upper(), dimension.labels
        return {
            "label": label,
            "category": {
                "index": {code: i for i, code in enumerate(codes)},
                "label": {code: texts[code] for code in codes},
            },
        }

    def _empty_positions(self, axes: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        empty = {}
        for name, codes in axes.items():
            column = "time_period" if name == "time" else name
            used = {
                row[0]
                for row in self.connection.execute(
                    f"select distinct {column} from cells where obs_value <> ''"
                ).fetchall()
            }
            empty[name] = [i for i, code in enumerate(codes) if code not in used]
        return {"positions-with-no-data": empty}


def describe_dataset(dataset: Dataset, release: Release) -> dict[str, Any]:
    """Return the extension of every JSON reply on a dataset."""
    stamp = dataset.stamp(release)
    annotations: list[dict[str, str]] = [
        {"type": "DISSEMINATION_OBJECT_TYPE", "title": "DATASET"},
        {"type": "DISSEMINATION_TIMESTAMP_DATA", "date": stamp},
        {"type": "DISSEMINATION_TIMESTAMP_GLOBAL", "date": stamp},
        {"type": "DISSEMINATION_TIMESTAMP_PLANNED", "date": stamp},
        {
            "type": "ESMS_HTML",
            "title": "Explanatory texts (metadata)",
            "href": f"https://ec.europa.eu/eurostat/cache/metadata/en/{dataset.metadata}.htm",
        },
    ]
    annotations += [{"type": name, "title": text} for name, text in observation_annotations(dataset, release)]
    annotations += [{"type": "UPDATE_DATA", "date": stamp}, {"type": "UPDATE_STRUCTURE", "date": stamp}]
    return {
        "lang": "EN",
        "id": dataset.code,
        "agencyId": "ESTAT",
        "version": "1.0",
        "datastructure": {"id": dataset.code, "agencyId": "ESTAT", "version": dataset.dsd_version},
        "annotation": annotations,
    }


def observation_annotations(dataset: Dataset, release: Release) -> list[tuple[str, str]]:
    """Return the count and the periods of the observations, which only the main host publishes.

    The count is that of all positions, including those without a value; that is the simulator's choice.
    """
    if dataset.is_comext:
        return []
    periods = sorted(dataset.all_periods(release))
    count = len(periods)
    for dimension in dataset.dimensions[1:]:
        count *= len(dimension.codes)
    return [
        ("OBS_COUNT", str(count)),
        ("OBS_PERIOD_OVERALL_LATEST", periods[-1]),
        ("OBS_PERIOD_OVERALL_OLDEST", periods[0]),
    ]
