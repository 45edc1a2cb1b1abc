# The four images of the network: `docker build --target sonar .`, and so with mine, capsule and pysonar.
# Each runs as an unprivileged user, on a read-only file system, with its state in /var/lib/sonar.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ipfs/kubo:v0.42.0 AS kubo
FROM ghcr.io/foundry-rs/foundry:v1.7.1 AS foundry

# The locked packages, in an environment without pip: nothing is installed in a running container.
FROM ${PYTHON_IMAGE} AS core
RUN python3 -m venv --without-pip /opt/sonar
COPY requirements/core.lock /tmp/
RUN python3 -m pip --python /opt/sonar/bin/python install --no-cache-dir --disable-pip-version-check \
      --require-hashes --only-binary :all: -r /tmp/core.lock

FROM core AS capsule-locked
COPY requirements/capsule.lock /tmp/
RUN python3 -m pip --python /opt/sonar/bin/python install --no-cache-dir --disable-pip-version-check \
      --require-hashes --only-binary :all: -r /tmp/capsule.lock

FROM core AS notebook
COPY requirements/notebook.lock /tmp/
RUN python3 -m pip --python /opt/sonar/bin/python install --no-cache-dir --disable-pip-version-check \
      --require-hashes --only-binary :all: -r /tmp/notebook.lock

# Our own packages, as they are published.
FROM ${PYTHON_IMAGE} AS wheels
COPY requirements/build.lock /tmp/
RUN python3 -m pip install --no-cache-dir --disable-pip-version-check --root-user-action ignore \
      --require-hashes --only-binary :all: -r /tmp/build.lock
WORKDIR /code
COPY pyproject.toml ./
COPY packaging packaging
COPY sonar sonar
COPY mine mine
COPY pysonar pysonar
COPY capsule capsule
RUN for part in packaging/*/pyproject.toml; do \
      (cd ${part%/*} && python3 -m hatchling build -t wheel -d /wheels) || exit 1; done

# Installed by role, beside the locked packages, which must have all that they need (--no-index).
# A mine has nothing that decrypts, and nothing that runs a chain.
FROM core AS sonar-code
COPY --from=wheels /wheels/sonar_network-*.whl /wheels/
RUN python3 -m pip --python /opt/sonar/bin/python install --no-index --root /code /wheels/*.whl

FROM core AS mine-code
COPY --from=wheels /wheels/sonar_network-*.whl /wheels/sonar_network_mine-*.whl /wheels/
RUN python3 -m pip --python /opt/sonar/bin/python install --no-index --root /code /wheels/*.whl \
 && rm /code/opt/sonar/bin/sonar && cd /code/opt/sonar/lib/python3*/site-packages/sonar \
 && rm -r localchain demo commands cli.py __main__.py

FROM capsule-locked AS capsule-code
COPY --from=wheels /wheels/sonar_network-*.whl /wheels/sonar_network_capsule-*.whl /wheels/
RUN python3 -m pip --python /opt/sonar/bin/python install --no-index --root /code /wheels/*.whl \
 && rm /code/opt/sonar/bin/sonar && cd /code/opt/sonar/lib/python3*/site-packages/sonar \
 && rm -r localchain demo commands cli.py __main__.py

FROM notebook AS pysonar-code
COPY --from=wheels /wheels/sonar_network-*.whl /wheels/sonar_network_scientist-*.whl /wheels/
RUN python3 -m pip --python /opt/sonar/bin/python install --no-index --root /code /wheels/*.whl \
 && rm -r /code/opt/sonar/bin/sonar /code/opt/sonar/lib/python3*/site-packages/sonar/demo

FROM ${PYTHON_IMAGE} AS base
RUN groupadd --gid 1000 sonar \
 && useradd --uid 1000 --gid sonar --no-create-home --home-dir /var/lib/sonar --shell /usr/sbin/nologin sonar \
 && install -d -o sonar -g sonar -m 700 /var/lib/sonar /var/lib/sonar/network /var/lib/sonar/home
# One thread each for linear algebra: the matrices are small, and ten mines share a machine.
ENV PATH=/opt/sonar/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 OPENBLAS_NUM_THREADS=1 \
    SONAR_NETWORK=/var/lib/sonar/network/network.toml SONAR_SWARM_LISTEN=/ip4/0.0.0.0/tcp/4001
COPY docker/health.py docker/fund.py /opt/sonar/lib/
WORKDIR /var/lib/sonar
LABEL org.opencontainers.image.licenses="Apache-2.0" org.opencontainers.image.version="0.1.0"

# A development chain with the contract, its network file, faucet and first IPFS peer.
FROM base AS sonar
LABEL org.opencontainers.image.title="sonar" \
      org.opencontainers.image.description="A Sonar network for development: chain, contract, faucet"
COPY --from=foundry /usr/local/bin/anvil /usr/local/bin/anvil
COPY --from=kubo /usr/local/bin/ipfs /usr/local/bin/ipfs
COPY --from=core /opt/sonar /opt/sonar
COPY --from=sonar-code /code/opt/sonar /opt/sonar
ENV SONAR_HOME=/var/lib/sonar/network SONAR_CHAIN_URL=http://127.0.0.1:8545
EXPOSE 8545 4001
USER sonar
HEALTHCHECK --interval=3s --timeout=5s --start-period=60s --retries=5 CMD ["python", "/opt/sonar/lib/health.py", "chain", "disk", "ipfs"]
ENTRYPOINT ["sonar"]
CMD ["chain", "--client", "anvil", "--host", "0.0.0.0", "--port", "8545", "--store-kind", "kubo"]

# A mine with an IPFS node of its own.
FROM base AS mine
LABEL org.opencontainers.image.title="mine" \
      org.opencontainers.image.description="A Sonar mine: trains on its own data, on weights that it cannot read"
RUN install -d -o sonar -g sonar -m 700 /var/lib/sonar/mines
COPY --from=kubo /usr/local/bin/ipfs /usr/local/bin/ipfs
COPY --from=core /opt/sonar /opt/sonar
COPY --from=mine-code /code/opt/sonar /opt/sonar
COPY docker/bin/mine docker/bin/mine-slot /opt/sonar/bin/
EXPOSE 4001
USER sonar
HEALTHCHECK --interval=8s --timeout=5s --start-period=120s --retries=5 CMD ["python", "/opt/sonar/lib/health.py", "chain", "disk", "ipfs"]
ENTRYPOINT ["mine"]
CMD ["run"]

# A capsule with an IPFS node of its own. What it remembers outside of its home belongs in no backup.
FROM base AS capsule
LABEL org.opencontainers.image.title="capsule" \
      org.opencontainers.image.description="A Sonar capsule: helps to open sums of masked updates, and sees no data"
RUN install -d -o sonar -g sonar -m 700 /var/lib/sonar/capsules /var/lib/sonar/witness
COPY --from=kubo /usr/local/bin/ipfs /usr/local/bin/ipfs
COPY --from=capsule-locked /opt/sonar /opt/sonar
COPY --from=capsule-code /code/opt/sonar /opt/sonar
COPY docker/bin/capsule-member /opt/sonar/bin/
ENV SONAR_HOME=/var/lib/sonar/home SONAR_PASSWORD_FILE=/var/lib/sonar/home/password \
    SONAR_WITNESS=/var/lib/sonar/witness/seen
EXPOSE 8551 4001
USER sonar
HEALTHCHECK --interval=3s --timeout=5s --start-period=120s --retries=5 CMD ["python", "/opt/sonar/lib/health.py", "chain", "disk", "ipfs", "capsule"]
ENTRYPOINT ["capsule"]
CMD ["run", "--listen", "0.0.0.0:8551"]

# The scientist: JupyterLab, and the command line.
FROM base AS pysonar
LABEL org.opencontainers.image.title="pysonar" \
      org.opencontainers.image.description="PySonar in JupyterLab: train models on data that others keep"
COPY --from=kubo /usr/local/bin/ipfs /usr/local/bin/ipfs
COPY --from=notebook /opt/sonar /opt/sonar
COPY --from=pysonar-code /code/opt/sonar /opt/sonar
COPY docker/bin/notebook-server docker/bin/demo-campaign /opt/sonar/bin/
COPY docker/jupyter_server_config.py /opt/sonar/etc/jupyter/
COPY docker/jupyterlab_settings.json /opt/sonar/share/jupyter/lab/settings/overrides.json
COPY notebooks /opt/sonar/share/sonar/notebooks
ENV SONAR_HOME=/var/lib/sonar/home SONAR_PASSWORD_FILE=/var/lib/sonar/home/password HOME=/var/lib/sonar/home
EXPOSE 8888 4001
USER sonar
HEALTHCHECK --interval=5s --timeout=5s --start-period=120s --retries=5 CMD ["python", "/opt/sonar/lib/health.py", "disk", "jupyter"]
ENTRYPOINT ["notebook-server"]
