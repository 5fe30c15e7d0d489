# The platform as one image: worker, endpoints, gateway and Dagster under one supervisor.
FROM python:3.11-slim AS build
WORKDIR /app
COPY requirements/ requirements/
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --require-hashes -r requirements/uv.lock \
    && /venv/bin/uv pip sync --python /venv/bin/python --compile-bytecode --require-hashes requirements/base.lock
COPY pyproject.toml README.md LICENSE dagster.yaml workspace.yaml ./
COPY profiles/ profiles/
COPY containers/ containers/
COPY mlplatform/ mlplatform/
RUN /venv/bin/uv pip install --python /venv/bin/python --no-deps --no-build-isolation --compile-bytecode -e .

FROM python:3.11-slim
RUN useradd --system --uid 10001 --create-home mlplatform \
    && mkdir /state /cache && chown mlplatform /state /cache
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app
# Environments of containers are made in the cache: not under /state, of which backups are made.
ENV PATH=/venv/bin:$PATH MLPLATFORM_HOME=/state MLPLATFORM_CACHE=/cache MLPLATFORM_HOST=0.0.0.0
USER mlplatform
VOLUME /state /cache
# 8710 gateway, 8711 Dagster UI, 8712 experiment tracker
EXPOSE 8710 8711 8712
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8710/ping', timeout=4)"]
CMD ["mlplatform", "serve", "--ui"]
