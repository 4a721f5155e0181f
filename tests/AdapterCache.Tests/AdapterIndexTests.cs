namespace Eigengate.AdapterCache.Tests;

public sealed class AdapterIndexOnEmbeddedGarnetTests(EmbeddedGarnetServer server)
    : AdapterIndexContract(server), IClassFixture<EmbeddedGarnetServer>;

public sealed class AdapterIndexOnRedisTests(RedisProcess server)
    : AdapterIndexContract(server), IClassFixture<RedisProcess>;
