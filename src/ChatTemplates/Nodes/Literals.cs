using Eigengate.ChatTemplates.Runtime;
using Eigengate.ChatTemplates.Syntax;
using Eigengate.ChatTemplates.Values;

namespace Eigengate.ChatTemplates.Nodes;

internal sealed class Constant(Position position, object? value) : Expression(position)
{
    public object? Value { get; } = value;

    protected override object? Compute(RenderState state) => Value;
}

internal sealed class Name(Position position, string identifier) : Expression(position)
{
    public string Identifier { get; } = identifier;

    protected override object? Compute(RenderState state) =>
        state.Scope.TryGet(Identifier, out object? value) ? value : new Undefined($"'{Identifier}' is undefined");
}

internal sealed class ListLiteral(Position position, IReadOnlyList<Expression> items) : Expression(position)
{
    protected override object? Compute(RenderState state) => new ListValue(items.Select(i => i.Evaluate(state)));
}

internal sealed class TupleLiteral(Position position, IReadOnlyList<Expression> items) : Expression(position)
{
    public IReadOnlyList<Expression> Items { get; } = items;

    protected override object? Compute(RenderState state) => new TupleValue([.. Items.Select(i => i.Evaluate(state))]);
}

internal sealed class DictLiteral(Position position, IReadOnlyList<(Expression Key, Expression Value)> entries) : Expression(position)
{
    protected override object? Compute(RenderState state)
    {
        var dict = new DictValue();
        foreach ((Expression keyExpression, Expression valueExpression) in entries)
        {
            object? key = keyExpression.Evaluate(state);
            if (!DictValue.IsKey(key))
                throw state.Fail($"'{Kinds.Name(key)}' cannot be a dict key");
            dict.Set(key, valueExpression.Evaluate(state));
        }

        return dict;
    }
}
