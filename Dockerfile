# `signoff serve`, `signoff worker` and every other command in one image; compose.yaml runs it beside a server for its runs.
FROM python:3.11-slim AS build
RUN python -m venv /opt/signoff
WORKDIR /src
COPY requirements-image.lock ./
RUN /opt/signoff/bin/pip install --no-cache-dir --require-hashes --requirement requirements-image.lock
COPY pyproject.toml README.md LICENSE ./
COPY engine engine
COPY bot bot
COPY workflows workflows
RUN /opt/signoff/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim
COPY --from=build /opt/signoff /opt/signoff
WORKDIR /srv
COPY workflows workflows
ENV PATH=/opt/signoff/bin:$PATH PYTHONUNBUFFERED=1 SIGNOFF_HOST=0.0.0.0
USER nobody
EXPOSE 3000
ENTRYPOINT ["signoff"]
CMD ["serve"]
