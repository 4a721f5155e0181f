namespace Eigengate.Inference.Scheduling;

/// <summary>
/// Tokens that one caller, or one adapter of a caller, has had (a virtual token counter, Sheng et al., "Fairness in Serving Large
/// Language Models", 2024). Who comes new starts level with the one that had least, so that idling earns no credit. Exists while
/// some sequence of it waits or runs.
/// </summary>
internal sealed class FairShare
{
    private readonly Dictionary<string, FairShare> _parts = new(StringComparer.Ordinal);
    private readonly FairShare? _whole;
    private readonly string _name;
    private int _sequences;

    private FairShare(FairShare? whole, string name, long tokens)
    {
        _whole = whole;
        _name = name;
        Tokens = tokens;
    }

    public long Tokens { get; private set; }

    /// <summary>Shares that divide this one.</summary>
    public int Parts => _parts.Count;

    public static FairShare CreateRoot() => new(null, "", 0);

    /// <summary>The part of this name, with one more sequence in it.</summary>
    public FairShare Join(string name)
    {
        if (!_parts.TryGetValue(name, out FairShare? part))
            _parts.Add(name, part = new FairShare(this, name, _parts.Count == 0 ? 0 : _parts.Values.Min(p => p.Tokens)));
        part._sequences++;
        return part;
    }

    public void Charge(long tokens)
    {
        for (FairShare? share = this; share is not null; share = share._whole)
            share.Tokens += tokens;
    }

    /// <summary>One sequence less, here and above.</summary>
    public void Leave()
    {
        for (FairShare share = this; share._whole is { } whole; share = whole)
        {
            if (--share._sequences == 0)
                whole._parts.Remove(share._name);
        }
    }

    /// <summary>Fewest tokens first, of the callers before their adapters. Both at the same depth.</summary>
    public int CompareTo(FairShare other)
    {
        if (ReferenceEquals(this, other))
            return 0;
        int order = _whole is null || other._whole is null ? 0 : _whole.CompareTo(other._whole);
        return order != 0 || !ReferenceEquals(_whole, other._whole) ? order : Tokens.CompareTo(other.Tokens);
    }
}
