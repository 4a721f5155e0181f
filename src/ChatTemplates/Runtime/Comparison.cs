using System.Numerics;
using Eigengate.ChatTemplates.Values;

namespace Eigengate.ChatTemplates.Runtime;

/// <summary>Python's ==, ordering and membership.</summary>
internal static class Comparison
{
    public static bool AreEqual(RenderState state, object? left, object? right)
    {
        state.Charge(1);
        state.EnsureStack();
        switch (left, right)
        {
            case (null, null) or (Undefined, Undefined):
                return true;
            case (string a, string b):
                state.ChargeScan(a);
                return a == b;
            case (ListValue a, ListValue b):
                return SequencesEqual(state, a, b);
            case (TupleValue a, TupleValue b):
                return SequencesEqual(state, a, b);
            case (DictValue a, DictValue b):
                return a.Count == b.Count && a.Entries.All(e =>
                    b.TryGet(e.Key, out object? other) && AreEqual(state, e.Value, other));
            case (RangeValue a, RangeValue b):
                return a.Count == b.Count && (a.Count == 0 || (a.Start == b.Start && (a.Count == 1 || a.Step == b.Step)));
        }

        return Kinds.IsNumber(left) && Kinds.IsNumber(right)
            ? CompareNumbers(left, right) == 0
            : ReferenceEquals(left, right);
    }

    /// <summary>Negative, zero or positive; null when a NaN makes every ordering false.</summary>
    public static int? Order(RenderState state, object? left, object? right)
    {
        state.Charge(1);
        state.EnsureStack();
        if (left is string a && right is string b)
        {
            state.ChargeScan(a);
            return PythonText.Compare(a, b);
        }

        if (Kinds.IsNumber(left) && Kinds.IsNumber(right))
            return CompareNumbers(left, right);
        if (left is SequenceValue x && right is SequenceValue y && x.GetType() == y.GetType())
        {
            for (int i = 0; i < x.Items.Count && i < y.Items.Count; i++)
            {
                if (!AreEqual(state, x.Items[i], y.Items[i]))
                    return Order(state, x.Items[i], y.Items[i]);
            }

            return x.Items.Count.CompareTo(y.Items.Count);
        }

        Kinds.Defined(state, left);
        Kinds.Defined(state, right);
        throw state.Fail($"'{Kinds.Name(left)}' and '{Kinds.Name(right)}' cannot be ordered");
    }

    public static bool Contains(RenderState state, object? container, object? item)
    {
        switch (container)
        {
            case string text:
                state.ChargeScan(text);
                return item is string part
                    ? text.Contains(part, StringComparison.Ordinal)
                    : throw state.Fail($"only a string can be in a string, not '{Kinds.Name(Kinds.Defined(state, item))}'");
            case DictValue dict:
                if (item is string key)
                    state.ChargeScan(key);
                return DictValue.IsKey(item) && dict.Contains(item);
            case NamespaceValue:
                throw state.Fail("'in' does not work on a namespace");
            default:
                return Kinds.Items(state, container).Any(candidate => AreEqual(state, candidate, item));
        }
    }

    private static bool SequencesEqual(RenderState state, SequenceValue left, SequenceValue right)
    {
        if (left.Items.Count != right.Items.Count)
            return false;
        for (int i = 0; i < left.Items.Count; i++)
        {
            if (!AreEqual(state, left.Items[i], right.Items[i]))
                return false;
        }

        return true;
    }

    private static int? CompareNumbers(object? left, object? right)
    {
        if (left is double || right is double)
        {
            (double a, double b) = (Kinds.ToDouble(left), Kinds.ToDouble(right));
            return double.IsNaN(a) || double.IsNaN(b) ? null : a.CompareTo(b);
        }

        return ToBig(left).CompareTo(ToBig(right));
    }

    private static BigInteger ToBig(object? value) => value switch
    {
        BigInteger big => big,
        long number => number,
        _ => value is true ? 1 : 0,
    };
}
