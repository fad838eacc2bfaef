"""Structures of SDMX 2.1: dataflows, data structures, constraints and code lists, in XML, JSON and TSV."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from simulator.eurostat.model import CONFIDENTIALITY, FLAGS, Dataset
from simulator.eurostat.observations import describe_dataset, observation_annotations
from simulator.eurostat.replies import NAMESPACE, XML_START, XML_START_SINGLE, json_reply, xml
from simulator.release import START_YEAR, Release
from simulator.reply import Reply

_NAMESPACES = (
    'xmlns:m="http://www.sdmx.org/resources/sdmxml/schemas/v2_1/message" '
    'xmlns:s="http://www.sdmx.org/resources/sdmxml/schemas/v2_1/structure" '
    'xmlns:c="http://www.sdmx.org/resources/sdmxml/schemas/v2_1/common"'
)
_URN = "urn:sdmx:org.sdmx.infomodel"


def _header(release: Release, kind: str) -> str:
    # The real header has a random id and the time of the request; here both follow from the release.
    identity = uuid.uuid5(NAMESPACE, f"{kind} {release.number}").hex
    prepared = release.eurostat_stamp[:-2] + ":" + release.eurostat_stamp[-2:]
    return (
        f"<m:Header><m:ID>ID{identity}</m:ID><m:Test>false</m:Test><m:Prepared>{prepared}</m:Prepared>"
        '<m:Sender id="ESTAT"/><m:Receiver id="unknown"/></m:Header>'
    )


def _message(release: Release, kind: str, structures: str) -> Reply:
    return xml(
        f"{XML_START_SINGLE}<m:Structure {_NAMESPACES}>{_header(release, kind)}"
        f"<m:Structures>{structures}</m:Structures></m:Structure>"
    )


# -- dataflows --------------------------------------------------------------------------------------------


def _annotation(kind: str, title: str = "", link: str = "") -> str:
    title = f"<c:AnnotationTitle>{title}</c:AnnotationTitle>" if title else ""
    return f"<c:Annotation>{title}<c:AnnotationType>{kind}</c:AnnotationType>{link}</c:Annotation>"


def _dataflow(dataset: Dataset, release: Release, *, is_stub: bool) -> str:
    stamp = dataset.stamp(release)
    link = f"<c:AnnotationURL>https://ec.europa.eu/eurostat/cache/metadata/en/{dataset.metadata}.htm</c:AnnotationURL>"
    annotations = (
        _annotation("DISSEMINATION_OBJECT_TYPE", "DATASET")
        + _annotation("DISSEMINATION_TIMESTAMP_DATA", stamp)
        + _annotation("DISSEMINATION_TIMESTAMP_GLOBAL", stamp)
        + _annotation("DISSEMINATION_TIMESTAMP_PLANNED", stamp)
        + _annotation("ESMS_HTML", "Explanatory texts (metadata)", link)
        + "".join(_annotation(kind, text) for kind, text in observation_annotations(dataset, release))
        + _annotation("UPDATE_DATA", stamp)
        + _annotation("UPDATE_STRUCTURE", stamp)
    )
    labels = "".join(f'<c:Name xml:lang="{lang}">{escape(title)}</c:Name>' for lang, title in dataset.titles.items())
    start = (
        f'<s:Dataflow id="{dataset.code}" urn="{_URN}.datastructure.Dataflow=ESTAT:{dataset.code}(1.0)" '
        'agencyID="ESTAT" version="1.0" isFinal="false"'
    )
    if is_stub:
        return f"{start}>{labels}</s:Dataflow>"
    return (
        f"{start}><c:Annotations>{annotations}</c:Annotations>"
        f'{labels}<s:Structure><Ref id="{dataset.code}" version="{dataset.dsd_version}" agencyID="ESTAT" '
        'package="datastructure" class="DataStructure"/></s:Structure></s:Dataflow>'
    )


def write_dataflows(
    datasets: Sequence[Dataset], release: Release, *, is_stub: bool = False, references: str = "none"
) -> Reply:
    """Return dataflows in XML.

    Parameters
    ----------
    is_stub
        True returns names only (``detail=allstubs``).
    references
        ``children`` adds the data structures, ``descendants`` their code lists and concepts too.
    """
    flows = "".join(_dataflow(dataset, release, is_stub=is_stub) for dataset in datasets)
    below = ""
    if references != "none":
        below = _descendants(datasets) if references == "descendants" else ""
        below += _data_structures(datasets)
    prepared = release.eurostat_stamp[:-5] + ".000" + release.eurostat_stamp[-5:-2] + ":00"
    header = (
        f"<m:Header><m:ID>DF{release.number:010}</m:ID><m:Test>false</m:Test>"
        f'<m:Prepared>{prepared}</m:Prepared><m:Sender id="ESTAT"/></m:Header>'
    )
    return xml(
        f"{XML_START}\r\n<m:Structure {_NAMESPACES}>{header}<m:Structures><s:Dataflows>"
        f"{flows}</s:Dataflows>{below}</m:Structures></m:Structure>"
    )


def write_dataflows_json(datasets: Sequence[Dataset], release: Release, *, is_list: bool) -> Reply:
    """Return dataflows in JSON-stat: one dataset without values, or a collection of them.

    The form is that read by the public client ``eurostat``.
    """
    items = [
        {
            "version": "2.0",
            "class": "dataset",
            "label": dataset.titles["en"],
            "source": "ESTAT",
            "updated": dataset.stamp(release),
            "extension": describe_dataset(dataset, release),
        }
        for dataset in datasets
    ]
    if not is_list:
        return json_reply(items[0])
    return json_reply({"version": "2.0", "class": "collection", "label": "Dataflows", "link": {"item": items}})


# -- data structures --------------------------------------------------------------------------------------


def _data_structures(datasets: Sequence[Dataset]) -> str:
    return f"<s:DataStructures>{''.join(map(_data_structure, datasets))}</s:DataStructures>"


def _data_structure(dataset: Dataset) -> str:
    code, version = dataset.code, dataset.dsd_version
    identity = f"ESTAT:{code}({version})"
    urn = f"{_URN}.datastructure"

    def concept(name: str) -> str:
        return (
            f'<s:ConceptIdentity><Ref agencyID="ESTAT" class="Concept" id="{name}" '
            f'maintainableParentID="{code}" maintainableParentVersion="{version}" '
            'package="conceptscheme"/></s:ConceptIdentity>'
        )

    def enumeration(codelist: str, codelist_version: str) -> str:
        return (
            f'<s:LocalRepresentation><s:Enumeration><Ref agencyID="ESTAT" class="Codelist" id="{codelist}" '
            f'package="codelist" version="{codelist_version}"/></s:Enumeration></s:LocalRepresentation>'
        )

    dimensions = "".join(
        f'<s:Dimension id="{dimension.name}" position="{position}" urn="{urn}.Dimension={identity}.{dimension.name}">'
        f"{concept(dimension.name)}{enumeration(dimension.codelist, dimension.codelist_version)}</s:Dimension>"
        for position, dimension in enumerate(dataset.dimensions, start=1)
    )
    attributes = ""
    if dataset.has_flags:
        listed = "".join(
            f'<s:Attribute id="{name}" assignmentStatus="Conditional" urn="{urn}.DataAttribute={identity}.{name}">'
            f"{concept(name)}{enumeration(name, '1.0')}"
            '<s:AttributeRelationship><s:PrimaryMeasure><Ref id="OBS_VALUE"/></s:PrimaryMeasure>'
            "</s:AttributeRelationship></s:Attribute>"
            for name in ("OBS_FLAG", "CONF_STATUS")
        )
        attributes = (
            '<s:AttributeList id="AttributeDescriptor" '
            f'urn="{urn}.AttributeDescriptor={identity}.AttributeDescriptor">{listed}</s:AttributeList>'
        )
    return (
        f'<s:DataStructure agencyID="ESTAT" id="{code}" isFinal="true" '
        f'urn="{urn}.DataStructure={identity}" version="{version}">'
        "<c:Annotations><c:Annotation><c:AnnotationTitle>time</c:AnnotationTitle>"
        "<c:AnnotationType>DISSEMINATION_TIME_DIMENSION_CODE</c:AnnotationType><c:AnnotationURL/>"
        f'</c:Annotation></c:Annotations><c:Name xml:lang="en">{code} data structure</c:Name>'
        '<s:DataStructureComponents><s:DimensionList id="DimensionDescriptor" '
        f'urn="{urn}.DimensionDescriptor={identity}.DimensionDescriptor">{dimensions}'
        f'<s:TimeDimension id="TIME_PERIOD" position="{len(dataset.dimensions) + 1}" '
        f'urn="{urn}.TimeDimension={identity}.TIME_PERIOD">'
        f"{concept('TIME_PERIOD')}<s:LocalRepresentation>"
        '<s:TextFormat textType="ObservationalTimePeriod"/></s:LocalRepresentation></s:TimeDimension>'
        f"</s:DimensionList>{attributes}"
        '<s:MeasureList id="MeasureDescriptor" '
        f'urn="{urn}.MeasureDescriptor={identity}.MeasureDescriptor"><s:PrimaryMeasure id="OBS_VALUE" '
        f'urn="{urn}.PrimaryMeasure={identity}.OBS_VALUE">{concept("OBS_VALUE")}</s:PrimaryMeasure>'
        "</s:MeasureList></s:DataStructureComponents></s:DataStructure>"
    )


def write_data_structure(dataset: Dataset, release: Release, *, references: str = "none") -> Reply:
    """Return a data structure, with its code lists and concepts if requested."""
    below = "" if references == "none" else _descendants([dataset])
    return _message(release, "structure", below + _data_structures([dataset]))


def _descendants(datasets: Sequence[Dataset]) -> str:
    """Return the code lists and concept schemes of datasets, in the order of the schema."""
    lists = "".join(
        _codelist(name, version, labels, title) for name, (version, labels, title) in codelists(datasets).items()
    )
    schemes = "".join(map(_concept_scheme, datasets))
    return f"<s:Codelists>{lists}</s:Codelists><s:Concepts>{schemes}</s:Concepts>"


def _concept_scheme(dataset: Dataset) -> str:
    titles = {dimension.name: dimension.title or dimension.name.upper() for dimension in dataset.dimensions}
    titles |= {"TIME_PERIOD": "Time", "OBS_VALUE": "Observation value"}
    if dataset.has_flags:
        titles |= {"OBS_FLAG": "Observation status (Flag)", "CONF_STATUS": "Confidentiality status (flag)"}
    identity = f"ESTAT:{dataset.code}({dataset.dsd_version})"
    concepts = "".join(
        f'<s:Concept id="{name}" urn="{_URN}.conceptscheme.Concept={identity}.{name}">'
        f'<c:Name xml:lang="en">{escape(title)}</c:Name></s:Concept>'
        for name, title in titles.items()
    )
    return (
        f'<s:ConceptScheme agencyID="ESTAT" id="{dataset.code}" isFinal="true" '
        f'urn="{_URN}.conceptscheme.ConceptScheme={identity}" version="{dataset.dsd_version}">'
        f'<c:Name xml:lang="en">{dataset.code} concept scheme</c:Name>{concepts}</s:ConceptScheme>'
    )


# -- code lists -------------------------------------------------------------------------------------------


def codelists(datasets: Sequence[Dataset]) -> dict[str, tuple[str, dict[str, str], str]]:
    """Return the code lists of datasets by name: version, label by code, title; only the codes the datasets use."""
    lists: dict[str, tuple[str, dict[str, str], str]] = {}
    for dataset in datasets:
        for dimension in dataset.dimensions:
            _, labels, title = lists.get(dimension.codelist, ("", {}, ""))
            lists[dimension.codelist] = (
                dimension.codelist_version,
                {**labels, **dimension.labels},
                title or dimension.title or dimension.codelist,
            )
        if dataset.has_flags:
            lists["OBS_FLAG"] = ("1.0", {code: text for code, text in FLAGS.items() if code}, "Observation status")
            confidential = {code: text for code, text in CONFIDENTIALITY.items() if code}
            lists["CONF_STATUS"] = ("1.0", confidential, "Confidentiality status")
    return lists


def _codelist(name: str, version: str, labels: Mapping[str, str], title: str) -> str:
    identity = f"ESTAT:{name}({version})"
    codes = "".join(
        f'<s:Code id="{code}" urn="{_URN}.codelist.Code={identity}.{code}">'
        f'<c:Name xml:lang="en">{escape(label)}</c:Name></s:Code>'
        for code, label in labels.items()
    )
    return (
        f'<s:Codelist agencyID="ESTAT" id="{name}" isFinal="true" urn="{_URN}.codelist.Codelist={identity}" '
        f'version="{version}"><c:Name xml:lang="en">{escape(title)}</c:Name>{codes}</s:Codelist>'
    )


def write_codelist(name: str, datasets: Sequence[Dataset], release: Release, *, is_tsv: bool) -> Reply:
    """Return a code list in XML, or as lines of code and label."""
    version, labels, title = codelists(datasets)[name]
    if is_tsv:
        lines = "".join(f"{code}\t{label}\r\n" for code, label in labels.items())
        return Reply(lines.encode(), "text/tab-separated-values")
    return _message(release, "codelist", f"<s:Codelists>{_codelist(name, version, labels, title)}</s:Codelists>")


# -- constraints ------------------------------------------------------------------------------------------


def write_constraint(dataset: Dataset, release: Release) -> Reply:
    """Return the codes and periods that a query may select."""
    lists = {dimension.name: dimension.listed or dimension.codes for dimension in dataset.dimensions}
    if dataset.is_comext:
        # As on the real host: every month of the current year, including those without data yet, and the indicators
        # last.
        years = range(START_YEAR, release.year_month[0] + 1)
        times = [label for year in years for label in (*(f"{year}-{m:02}" for m in range(1, 13)), str(year))]
        indicators = lists.pop("indicators")
        lists |= {"TIME_PERIOD": tuple(times), "indicators": indicators}
    else:
        lists["TIME_PERIOD"] = dataset.all_periods(release)
    values = "".join(
        f'<c:KeyValue id="{name}">{"".join(f"<c:Value>{code}</c:Value>" for code in codes)}</c:KeyValue>'
        for name, codes in lists.items()
    )
    code = dataset.code
    return _message(
        release,
        "constraint",
        '<s:Constraints><s:ContentConstraint agencyID="ESTAT" '
        f'id="{code}" isFinal="false" type="Actual" urn="{_URN}.registry.ContentConstraint=ESTAT:{code}(1.0)" '
        'version="1.0">'
        f'<c:Name xml:lang="en">Cube description for dataflow {code}</c:Name><s:ConstraintAttachment>'
        f'<s:Dataflow><Ref agencyID="ESTAT" class="Dataflow" id="{code}" package="datastructure" '
        f'version="1.0"/></s:Dataflow></s:ConstraintAttachment><s:CubeRegion include="true">{values}'
        "</s:CubeRegion></s:ContentConstraint></s:Constraints>",
    )
