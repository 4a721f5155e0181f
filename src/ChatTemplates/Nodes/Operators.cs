using Eigengate.ChatTemplates.Runtime;
using Eigengate.ChatTemplates.Syntax;
using Eigengate.ChatTemplates.Values;

namespace Eigengate.ChatTemplates.Nodes;

internal sealed class Binary(Position position, string symbol, Expression left, Expression right) : Expression(position)
{
    protected override object? Compute(RenderState state)
    {
        object? a = left.Evaluate(state);
        object? b = right.Evaluate(state);
        state.At(this);
        return Arithmetic.Apply(state, symbol, a, b);
    }
}

internal sealed class Sign(Position position, bool negative, Expression operand) : Expression(position)
{
    protected override object? Compute(RenderState state)
    {
        object? value = operand.Evaluate(state);
        return negative ? Arithmetic.Negate(state, value) : Arithmetic.Plus(state, value);
    }
}

internal sealed class Concatenation(Position position, IReadOnlyList<Expression> parts) : Expression(position)
{
    protected override object? Compute(RenderState state)
    {
        var text = new TextBuilder(state);
        foreach (Expression part in parts)
            text.Append(ValueText.Str(state, part.Evaluate(state)));
        return text.ToString();
    }
}

internal sealed class Not(Position position, Expression operand) : Expression(position)
{
    protected override object? Compute(RenderState state) => !Kinds.IsTrue(state, operand.Evaluate(state));
}

/// <summary><c>and</c> and <c>or</c>: the value is the operand that decided.</summary>
internal sealed class Logical(Position position, bool isAnd, Expression left, Expression right) : Expression(position)
{
    protected override object? Compute(RenderState state)
    {
        object? value = left.Evaluate(state);
        return Kinds.IsTrue(state, value) == isAnd ? right.Evaluate(state) : value;
    }
}

internal sealed class Conditional(Position position, Expression value, Expression condition, Expression? otherwise) : Expression(position)
{
    protected override object? Compute(RenderState state)
    {
        if (Kinds.IsTrue(state, condition.Evaluate(state)))
            return value.Evaluate(state);
        return otherwise is null
            ? new Undefined("the inline if had no else and its condition was false")
            : otherwise.Evaluate(state);
    }
}

/// <summary>A chain such as <c>a &lt; b &lt;= c</c>: true when every link is; evaluation ends at the first that is not.</summary>
internal sealed class ComparisonChain(Position position, Expression first, IReadOnlyList<(string Symbol, Expression Operand)> links)
    : Expression(position)
{
    protected override object? Compute(RenderState state)
    {
        object? left = first.Evaluate(state);
        foreach ((string symbol, Expression operand) in links)
        {
            object? right = operand.Evaluate(state);
            state.At(this);
            if (!Holds(state, symbol, left, right))
                return false;
            left = right;
        }

        return true;
    }

    private static bool Holds(RenderState state, string symbol, object? left, object? right) => symbol switch
    {
        "==" => Comparison.AreEqual(state, left, right),
        "!=" => !Comparison.AreEqual(state, left, right),
        "in" => Comparison.Contains(state, right, left),
        "not in" => !Comparison.Contains(state, right, left),
        "<" => Comparison.Order(state, left, right) < 0,
        "<=" => Comparison.Order(state, left, right) <= 0,
        ">" => Comparison.Order(state, left, right) > 0,
        _ => Comparison.Order(state, left, right) >= 0,
    };
}
