using StackExchange.Redis;

namespace Eigengate.AdapterCache;

/// <summary>Every key of one index. The prefix is a hash tag, so that scripts over several keys also run on Redis Cluster.</summary>
internal sealed class RedisKeys
{
    private readonly string _tag;

    /// <exception cref="ArgumentException">The prefix is empty or contains braces.</exception>
    public RedisKeys(string prefix)
    {
        if (prefix.Length == 0 || prefix.AsSpan().ContainsAny('{', '}'))
            throw new ArgumentException($"A key prefix must be non-empty and free of braces, but was '{prefix}'.", nameof(prefix));
        _tag = $"{{{prefix}}}:";
        State = _tag + "state";
        Adapters = _tag + "adapters";
        Changes = _tag + "changes";
        Base = _tag + "base";
        Nodes = _tag + "nodes";
        Changed = RedisChannel.Literal(_tag + "changed");
    }

    /// <summary>Hash: <c>epoch</c> (random, made with the first write) and <c>version</c> (grows by one with every change).</summary>
    public RedisKey State { get; }

    /// <summary>Hash of <see cref="StoredAdapter"/> by adapter id.</summary>
    public RedisKey Adapters { get; }

    /// <summary>Sorted set of adapter ids by the version of their last change. A removed adapter stays in it as a tombstone.</summary>
    public RedisKey Changes { get; }

    /// <summary>String: the base record.</summary>
    public RedisKey Base { get; }

    /// <summary>Sorted set of node ids by the end of their lease, Unix milliseconds of the server's clock.</summary>
    public RedisKey Nodes { get; }

    /// <summary>Channel on which a writer hints that the version grew. Followers must not rely on it.</summary>
    public RedisChannel Changed { get; }

    /// <summary>Hash of weight chunks by chunk number.</summary>
    public RedisKey Weights(string id, string version) => $"{_tag}weights:{version}:{id}";

    /// <summary>String with a time to live: the record of a node under lease.</summary>
    public RedisKey Node(string id) => _tag + "node:" + id;
}
