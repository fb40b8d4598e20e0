# The studio. CPU by default; --build-arg TORCH=cuda takes PyTorch's CUDA build.
FROM python:3.11-slim

ARG TORCH=cpu
ENV PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1

WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE ./
COPY src ./src
RUN if [ "$TORCH" = cpu ]; then \
        pip install --index-url https://download.pytorch.org/whl/cpu --extra-index-url https://pypi.org/simple \
            -c constraints.txt ".[server,usd]"; \
    else pip install -c constraints.txt ".[server,usd]"; fi \
    && useradd --create-home studio && mkdir /data && chown studio /data

USER studio
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["motionmill", "serve", "--host", "0.0.0.0", "--folder", "/data", "--token-file", "/data/token.txt"]
