using Eigengate.ChatTemplates.Values;

namespace Eigengate.ChatTemplates.Runtime;

/// <summary>The <c>loop</c> variable of a for statement.</summary>
internal sealed class LoopValue(IReadOnlyList<object?> items)
{
    private object?[]? _lastChanged;

    public int Index { get; set; }

    public int Count => items.Count;

    public bool TryGet(string name, out object? value)
    {
        value = name switch
        {
            "index" => Index + 1L,
            "index0" => (long)Index,
            "revindex" => (long)(Count - Index),
            "revindex0" => Count - Index - 1L,
            "first" => Index == 0,
            "last" => Index == Count - 1,
            "length" => (long)Count,
            // Only recursive loops, which are not supported, go deeper.
            "depth" => 1L,
            "depth0" => 0L,
            "previtem" => Index > 0 ? items[Index - 1] : new Undefined("there is no previous item"),
            "nextitem" => Index + 1 < Count ? items[Index + 1] : new Undefined("there is no next item"),
            "cycle" => new BoundBuiltin(new Builtin("cycle", null, Cycle), this),
            "changed" => new BoundBuiltin(new Builtin("changed", null, Changed), this),
            _ => null,
        };
        return value is not null || name is "previtem" or "nextitem";
    }

    private object? Cycle(RenderState state, object? self, Arguments arguments) => arguments.Positional.Count > 0
        ? arguments.Positional[Index % arguments.Positional.Count]
        : throw state.Fail("loop.cycle needs something to cycle through");

    private object? Changed(RenderState state, object? self, Arguments arguments)
    {
        object?[] now = [.. arguments.Positional];
        bool same = _lastChanged is not null && Comparison.AreEqual(state, new TupleValue(_lastChanged), new TupleValue(now));
        _lastChanged = now;
        return !same;
    }
}
