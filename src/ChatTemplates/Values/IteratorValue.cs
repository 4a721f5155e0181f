namespace Eigengate.ChatTemplates.Values;

/// <summary>
/// The result of filters that are generators in Jinja: always true, without length or index, and empty once read.
/// </summary>
internal sealed class IteratorValue(IReadOnlyList<object?> items)
{
    private IReadOnlyList<object?> _items = items;
    private int _next;

    public IReadOnlyList<object?> TakeAll()
    {
        IReadOnlyList<object?> rest = _next == 0 ? _items : [.. _items.Skip(_next)];
        _items = [];
        _next = 0;
        return rest;
    }

    public bool TryTake(out object? item)
    {
        bool found = _next < _items.Count;
        item = found ? _items[_next++] : null;
        return found;
    }
}
