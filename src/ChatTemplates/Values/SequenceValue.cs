namespace Eigengate.ChatTemplates.Values;

/// <summary>A Python list or tuple.</summary>
internal abstract class SequenceValue
{
    public abstract IReadOnlyList<object?> Items { get; }
}

internal sealed class ListValue(List<object?> items) : SequenceValue
{
    private readonly List<object?> _items = items;

    public ListValue(IEnumerable<object?> items)
        : this([.. items])
    {
    }

    public override IReadOnlyList<object?> Items => _items;

    public void Append(object? item) => _items.Add(item);
}

internal sealed class TupleValue(params object?[] items) : SequenceValue
{
    public override IReadOnlyList<object?> Items => items;
}
