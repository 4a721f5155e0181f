using Eigengate.ChatTemplates.Runtime;

namespace Eigengate.ChatTemplates.Values;

/// <summary>Anything a template can call: globals, bound methods, macros.</summary>
internal abstract class Callable(string name)
{
    public string Name { get; } = name;

    public abstract object? Invoke(RenderState state, Arguments arguments);
}

/// <summary>A library function, bound to the object it was taken from; globals have none.</summary>
internal sealed class BoundBuiltin(Builtin builtin, object? self) : Callable(builtin.Name)
{
    public override object? Invoke(RenderState state, Arguments arguments) => builtin.Invoke(state, self, arguments);
}
