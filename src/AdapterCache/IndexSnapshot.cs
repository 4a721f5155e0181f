using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;

namespace Eigengate.AdapterCache;

/// <summary>The index at one moment; immutable, so a request sees one state from start to end.</summary>
public sealed class IndexSnapshot
{
    private readonly ImmutableDictionary<string, StoredAdapter> _byId;
    private readonly ImmutableSortedDictionary<long, AdapterRecord> _inOrder;

    internal IndexSnapshot(
        string? epoch,
        long version,
        BaseRecord? baseModel,
        IReadOnlyList<NodeRecord> nodes,
        ImmutableDictionary<string, StoredAdapter> byId,
        ImmutableSortedDictionary<long, AdapterRecord> inOrder)
    {
        Epoch = epoch;
        Version = version;
        Base = baseModel;
        Nodes = nodes;
        _byId = byId;
        _inOrder = inOrder;
    }

    internal static IndexSnapshot Empty { get; } = new(
        null,
        0,
        null,
        [],
        ImmutableDictionary.Create<string, StoredAdapter>(StringComparer.Ordinal),
        ImmutableSortedDictionary<long, AdapterRecord>.Empty);

    /// <summary>Changes to adapters and base since the index was made.</summary>
    public long Version { get; }

    /// <summary>The base model, or null while none is registered.</summary>
    public BaseRecord? Base { get; }

    /// <summary>Nodes whose lease had not ended, by id.</summary>
    public IReadOnlyList<NodeRecord> Nodes { get; }

    public int AdapterCount => _byId.Count;

    /// <summary>All adapters in registration order.</summary>
    public IEnumerable<AdapterRecord> Adapters => _inOrder.Values;

    internal string? Epoch { get; }

    public bool TryGetAdapter(string id, [NotNullWhen(true)] out AdapterRecord? adapter)
    {
        adapter = _byId.TryGetValue(id, out var stored) ? stored.Record : null;
        return adapter is not null;
    }

    internal Builder ToBuilder() => new(_byId.ToBuilder(), _inOrder.ToBuilder());

    /// <summary>Applies changes; the work is proportional to their number, not to the number of adapters.</summary>
    internal sealed class Builder(ImmutableDictionary<string, StoredAdapter>.Builder byId, ImmutableSortedDictionary<long, AdapterRecord>.Builder inOrder)
    {
        public void Apply(AdapterChange change)
        {
            if (byId.TryGetValue(change.Id, out var old))
                inOrder.Remove(old.Sequence);
            if (change.Adapter is { } adapter)
            {
                byId[change.Id] = adapter;
                inOrder[adapter.Sequence] = adapter.Record;
            }
            else
            {
                byId.Remove(change.Id);
            }
        }

        public IndexSnapshot Build(string? epoch, long version, BaseRecord? baseModel, IReadOnlyList<NodeRecord> nodes) =>
            new(epoch, version, baseModel, nodes, byId.ToImmutable(), inOrder.ToImmutable());
    }
}
