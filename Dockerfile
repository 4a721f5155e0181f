# The product's image: a self-contained publish (made by eng/publish.sh) and the demo. The base needs only glibc.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
ENV DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1
COPY artifacts/publish /opt/eigengate
COPY demo /demo
ENTRYPOINT ["/opt/eigengate/eigengate"]
