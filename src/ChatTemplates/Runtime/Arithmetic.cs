using Eigengate.ChatTemplates.Values;

namespace Eigengate.ChatTemplates.Runtime;

/// <summary>The binary and unary operators with Python's rules; integers have 64 bits.</summary>
internal static class Arithmetic
{
    public static object? Apply(RenderState state, string symbol, object? left, object? right)
    {
        Kinds.Defined(state, left);
        Kinds.Defined(state, right);
        try
        {
            if (Kinds.TryInteger(left, out long a) && Kinds.TryInteger(right, out long b))
                return Integers(state, symbol, a, b);
            if (Kinds.IsNumber(left) && Kinds.IsNumber(right))
                return Reals(state, symbol, Kinds.ToDouble(left), Kinds.ToDouble(right));
        }
        catch (OverflowException)
        {
            throw state.Fail($"the result of {symbol} does not fit in 64 bits");
        }

        switch (symbol, left, right)
        {
            case ("+", string x, string y):
                state.ChargeText((long)x.Length + y.Length);
                return x + y;
            case ("+", ListValue x, ListValue y):
                return new ListValue(Joined(state, x, y));
            case ("+", TupleValue x, TupleValue y):
                return new TupleValue([.. Joined(state, x, y)]);
            case ("*", string or SequenceValue, long or bool):
                return Repeat(state, left, right);
            case ("*", long or bool, string or SequenceValue):
                return Repeat(state, right, left);
            case ("%", string format, _):
                return PercentFormat.Format(state, format, right);
            default:
                throw state.Fail($"{symbol} does not work on '{Kinds.Name(left)}' and '{Kinds.Name(right)}'");
        }
    }

    public static object? Negate(RenderState state, object? value)
    {
        Kinds.Defined(state, value);
        if (Kinds.TryInteger(value, out long number) && number != long.MinValue)
            return -number;
        return value is double real ? -real : throw state.Fail($"- does not work on '{Kinds.Name(value)}'");
    }

    public static object? Plus(RenderState state, object? value)
    {
        Kinds.Defined(state, value);
        if (Kinds.TryInteger(value, out long number))
            return number;
        return value is double ? value : throw state.Fail($"+ does not work on '{Kinds.Name(value)}'");
    }

    private static object Integers(RenderState state, string symbol, long a, long b)
    {
        if (b == 0 && symbol is "/" or "//" or "%")
            throw state.Fail("division by zero");
        switch (symbol)
        {
            case "+": return checked(a + b);
            case "-": return checked(a - b);
            case "*": return checked(a * b);
            case "/": return (double)a / b;
            case "//": return b == -1 ? checked(-a) : (a / b) - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
            case "%":
                long rest = b == -1 ? 0 : a % b;
                return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
            default: return b < 0 ? (object)Reals(state, "**", a, b) : Power(a, b);
        }
    }

    private static long Power(long a, long exponent)
    {
        if (a is 0 or 1 or -1)
            return exponent == 0 ? 1 : a == -1 && exponent % 2 == 0 ? 1 : a;
        long result = 1;
        for (; exponent > 0; exponent--)
            result = checked(result * a);
        return result;
    }

    private static double Reals(RenderState state, string symbol, double a, double b)
    {
        if (b == 0 && symbol is "/" or "//" or "%")
            throw state.Fail("division by zero");
        return symbol switch
        {
            "+" => a + b,
            "-" => a - b,
            "*" => a * b,
            "/" => a / b,
            "//" => Math.Floor(a / b),
            "%" => Modulo(a, b),
            _ when a == 0 && b < 0 => throw state.Fail("zero cannot be raised to a negative power"),
            _ => Math.Pow(a, b),
        };
    }

    private static double Modulo(double a, double b)
    {
        double rest = a % b;
        return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
    }

    private static List<object?> Joined(RenderState state, SequenceValue left, SequenceValue right)
    {
        state.Charge((long)left.Items.Count + right.Items.Count);
        return [.. left.Items, .. right.Items];
    }

    private static object? Repeat(RenderState state, object? what, object? times)
    {
        Kinds.TryInteger(times, out long asked);
        int count = (int)Math.Clamp(asked, 0, int.MaxValue);
        if (what is string text)
        {
            state.ChargeText((long)text.Length * count);
            return string.Concat(Enumerable.Repeat(text, text.Length == 0 ? 0 : count));
        }

        IReadOnlyList<object?> items = ((SequenceValue)what!).Items;
        state.Charge((long)items.Count * count);
        IEnumerable<object?> repeated = items.Count == 0 ? [] : Enumerable.Repeat(items, count).SelectMany(i => i);
        return what is ListValue ? new ListValue(repeated) : new TupleValue([.. repeated]);
    }
}
