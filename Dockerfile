# Airflow with the project, and Superset over the marts, for docker-compose.yml. Stages: build environments and
# runtimes.
FROM docker.io/library/python:3.11-slim-bookworm AS environment
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1
WORKDIR /opt/metaalexport
COPY deploy/install deploy/uv.lock deploy/
# The locked packages change less often than the code, so they have a separate layer.
COPY requirements-team.lock ./
RUN deploy/install /opt/venv requirements-team.lock
COPY pyproject.toml README.md LICENSE ./
COPY metaalexport metaalexport
COPY common common
COPY extract extract
COPY expectations expectations
COPY publish publish
COPY simulator simulator
COPY dags dags
COPY dbt_project dbt_project
COPY reference reference
RUN /opt/venv/bin/pip install --quiet --no-deps --no-build-isolation --editable . \
    && /opt/venv/bin/python -m compileall -q /opt/metaalexport

FROM docker.io/library/python:3.11-slim-bookworm AS airflow
RUN groupadd --gid 50000 metaalexport \
    && useradd --uid 50000 --gid metaalexport --create-home metaalexport \
    && install --directory --owner metaalexport --group metaalexport /var/lib/metaalexport
COPY --from=environment /opt/venv /opt/venv
COPY --from=environment /opt/metaalexport /opt/metaalexport
COPY deploy/healthy /opt/metaalexport/deploy/healthy
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    METAALEXPORT_VAR=/var/lib/metaalexport
USER metaalexport
WORKDIR /var/lib/metaalexport
VOLUME /var/lib/metaalexport
CMD ["metaalexport", "--help"]

FROM docker.io/library/python:3.11-slim-bookworm AS superset-environment
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1
COPY deploy/install deploy/uv.lock /tmp/deploy/
COPY bi/requirements.lock /tmp/requirements.lock
RUN /tmp/deploy/install /opt/venv /tmp/requirements.lock

FROM docker.io/library/python:3.11-slim-bookworm AS superset
RUN groupadd --gid 50001 superset \
    && useradd --uid 50001 --gid superset --create-home superset
COPY --from=superset-environment /opt/venv /opt/venv
COPY bi /opt/metaalexport/bi
COPY deploy/healthy /opt/metaalexport/deploy/healthy
# The datasets are derived from dbt's contracts.
COPY dbt_project/docs /opt/metaalexport/dbt_project/docs
COPY dbt_project/models /opt/metaalexport/dbt_project/models
COPY common /opt/metaalexport/common
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/metaalexport \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SUPERSET_CONFIG_PATH=/opt/metaalexport/bi/superset_config.py
USER superset
WORKDIR /home/superset
EXPOSE 8088
CMD ["/opt/metaalexport/bi/start"]
